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
