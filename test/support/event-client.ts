import http from 'node:http';
import type { ChangeDto } from '../../src/changes/dto/change.dto.js';
import type { Project } from '../../src/db/schema.js';
import { until } from './connections.js';

export interface SentEvent {
  id: string;
  event: string;
  data: ProjectChange;
}

type ProjectChange = Omit<ChangeDto, 'before' | 'after'> &
  Record<'before' | 'after', Project | null>;

/** A reader of server-sent events, like a browser's EventSource, but it does not reconnect. */
export interface EventClient {
  response: http.IncomingMessage;
  events: SentEvent[];
  comments: number;
  /** The id of the last event, with which a browser would reconnect. */
  lastEventId: string;
  hasEnded: boolean;
  /** Resolves with all events when there are at least this many; rejects after `timeoutMs`. */
  received(count: number, timeoutMs?: number): Promise<SentEvent[]>;
  /** Disconnects without notice. */
  leave(): void;
}

/** Opens a stream. Resolves when the answer has begun. Events are read at once, unless the client is `paused`. */
export async function openEvents(
  url: string,
  headers: http.OutgoingHttpHeaders = {},
  { paused = false } = {},
): Promise<EventClient> {
  const request = http.get(url, {
    agent: false,
    headers: { Accept: 'text/event-stream', ...headers },
  });
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject);
  });
  const client: EventClient = {
    response,
    events: [],
    comments: 0,
    lastEventId: '',
    hasEnded: false,
    received: async (count, timeoutMs) => {
      await until(() => client.events.length >= count, timeoutMs);
      return client.events;
    },
    leave: () => request.destroy(),
  };
  let text = '';
  response.setEncoding('utf8');
  response.on('error', () => {}).on('close', () => (client.hasEnded = true));
  response.on('data', (chunk: string) => {
    const blocks = (text + chunk).split('\n\n');
    text = blocks.pop()!;
    for (const block of blocks) take(client, block);
  });
  if (paused) response.pause();
  return client;
}

function take(client: EventClient, block: string): void {
  const fields: Record<string, string> = {};
  for (const line of block.split('\n')) {
    if (line.startsWith(':')) client.comments++;
    const [, name, value] = /^(\w+): (.*)$/.exec(line) ?? [];
    if (name) fields[name] = value!;
  }
  const { id, event, data } = fields;
  if (id !== undefined) client.lastEventId = id;
  if (data !== undefined)
    client.events.push({ id: id!, event: event!, data: JSON.parse(data) as ProjectChange });
}
