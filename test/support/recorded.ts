import { drizzle } from 'drizzle-orm/postgres-js';
import type { Sql } from 'postgres';
import { createDatabaseConnection } from '../../src/db/connection.js';
import * as schema from '../../src/db/schema.js';

/** A connection whose `db` records every statement in `sent`, so that a test can explain it again. */
export function connectRecorded(url: string) {
  const connection = createDatabaseConnection({ url, statement_timeout_ms: 60_000 });
  const client = (connection.db as unknown as { $client: Sql }).$client;
  const sent: { text: string; params: unknown[] }[] = [];
  const logger = { logQuery: (text: string, params: unknown[]) => sent.push({ text, params }) };
  return { connection, client, sent, db: drizzle(client, { schema, logger }) };
}

export type RecordedConnection = ReturnType<typeof connectRecorded>;

/**
 * Returns the different statements that a call sends, in alphabetical order, because some are sent at the same time.
 * Those for an estimate are left out: their number and their values depend on the statistics.
 */
export async function sqlOf(
  { sent }: RecordedConnection,
  call: () => Promise<unknown>,
): Promise<string> {
  sent.length = 0;
  await call();
  const texts = sent
    .splice(0)
    .map(({ text }) => text)
    .filter((text) => !text.startsWith('explain'));
  expect(texts).not.toEqual([]);
  return [...new Set(texts)].sort().join(';\n\n');
}
