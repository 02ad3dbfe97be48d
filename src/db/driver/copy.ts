import type { SQL } from 'drizzle-orm';
import { PgDialect } from 'drizzle-orm/pg-core';
import type { ReservedSql, Sql } from 'postgres';
import type { Db } from '../connection.js';
import { beginCopy, copyText, PooledDriver } from './driver.js';
import { readBehind } from './postgres-js.js';
import { toText } from './text-format.js';

/** What comes before the first row: signature, flags, and the length of what more there is. */
const HEADER_BYTES = 19;

/**
 * The rows that a query selects, at one moment, as fast as they are read: in COPY's
 * binary format (PostgreSQL documentation, COPY, "Tuples") behind its header, cut anywhere. It spares
 * the server and the driver half of the work for a row, and all that is held here is what the server
 * sent last.
 *
 * `db` is a pool, of which one connection is used until the last row is read. Throws what asDataError
 * knows.
 */
export async function* copyOut(db: Db, query: SQL): AsyncGenerator<Buffer> {
  const { $client: client } = db as unknown as { $client: PooledDriver | Sql };
  const text = textOf(query);
  const sent = client instanceof PooledDriver ? client.copyOut(text) : plainCopyOut(client, text);
  let left = HEADER_BYTES;
  for await (const bytes of sent) {
    if (bytes.length > left) yield bytes.subarray(left);
    left = Math.max(0, left - bytes.length);
  }
}

/** COPY takes no parameters, so their values stand in the text. */
function textOf(statement: SQL): string {
  const { sql: text, params } = new PgDialect().sqlToQuery(statement);
  return text.replace(/\$(\d+)/g, (_, number: string) => literalOf(params[Number(number) - 1]));
}

/** As PostgreSQL's own quote_literal: the same whatever `standard_conforming_strings` is. */
function literalOf(value: unknown): string {
  const text = toText(value);
  if (text === null) return 'null';
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/**
 * With a plain postgres.js. It has no way out of a COPY, so one that is left early is read to its end
 * before others get the connection.
 */
async function* plainCopyOut(client: Sql, query: string): AsyncGenerator<Buffer> {
  const connection = await client.reserve();
  try {
    await connection.unsafe(beginCopy(query));
    yield* readToItsEnd(connection, copyText(query));
  } finally {
    await connection.unsafe('rollback').catch(() => undefined); // nothing was written
    connection.release();
  }
}

async function* readToItsEnd(connection: ReservedSql, text: string): AsyncGenerator<Buffer> {
  const stream = await connection.unsafe(text).readable();
  const ended = new Promise((resolve) => stream.once('end', resolve).once('error', resolve));
  try {
    yield* stream.iterator({ destroyOnReturn: false }) as AsyncGenerator<Buffer>;
  } finally {
    stream.resume();
    await ended;
    readBehind(stream);
  }
}
