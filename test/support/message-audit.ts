import type { INestApplication } from '@nestjs/common';
import type { ClientProxy } from '@nestjs/microservices';
import { firstValueFrom, timeout } from 'rxjs';

interface Served {
  serverInstance: { getHandlers(): Map<string, unknown> };
}

/** Returns the message patterns that an application answers. */
export function patternsOf(app: INestApplication): string[] {
  const servers = app.getMicroservices() as unknown as Served[];
  return servers.flatMap(({ serverInstance }) => [...serverInstance.getHandlers().keys()]).sort();
}

/** Returns the answer to a message: a reply, or the failure that its client rejects with. */
export async function ask(client: ClientProxy, pattern: string, message: unknown) {
  const reply = client.send<Answer>(pattern, message).pipe(timeout(10_000));
  return await firstValueFrom(reply).catch((error: Answer) => error);
}

interface Answer {
  code?: string;
  requestId?: string;
  errors?: { path: string }[];
}

/** Returns the violations of the contract by the patterns, one line each. `token` has the scopes read and write. */
export async function auditMessages(
  patterns: string[],
  client: ClientProxy,
  token: string,
): Promise<string[]> {
  const faults = patterns.map(async (pattern) => {
    const found: string[] = [];
    const stranger = await ask(client, pattern, { meta: {} });
    if (stranger.code !== 'unauthorized') found.push('answers without a token');
    const unknown = await ask(client, pattern, { colour: 'red', meta: { token } });
    const isNamed = unknown.errors?.some(({ path }) => path === 'colour');
    if (unknown.code !== 'validation_failed' || !isNamed) found.push('takes unknown fields');
    const text = await ask(client, pattern, { query: { q: '\0' }, meta: { token } });
    if (text.code !== 'invalid_encoding') found.push('takes what cannot be stored');
    if (!text.requestId) found.push('fails without a problem');
    return found.map((fault) => `${pattern} ${fault}`);
  });
  return (await Promise.all(faults)).flat();
}
