import { finished } from 'node:stream/promises';
import type { SQL } from 'drizzle-orm';
import type { ReservedSql, Sql } from 'postgres';
import type { Db } from '../connection.js';
import { clientOf, toQuery } from '../query/drizzle-internals.js';
import { beginCopy, copyText, PooledDriver } from './driver.js';
import { expectStream, readBehind } from './postgres-js.js';
import { toText } from './text-format.js';

/** The length of the header before the first row: signature, flags, and the length of the extension. */
const HEADER_BYTES = 19;

/**
 * Streams the rows of a query, in the state of one moment, as fast as they are read: in COPY's binary format
 * (PostgreSQL documentation, COPY, "Tuples") without its header, in chunks of any length. This saves server
 * and driver half of the work for a row, and only the last chunk from the server is in memory.
 *
 * `db` is a pool; one of its connections is in use until the last row is read. Throws errors that asDataError
 * recognizes.
 */
export async function* copyOut(db: Db, query: SQL): AsyncGenerator<Buffer> {
  const client = clientOf(db) as PooledDriver | Sql;
  const text = textOf(query);
  const sent = client instanceof PooledDriver ? client.copyOut(text) : plainCopyOut(client, text);
  let left = HEADER_BYTES;
  for await (const bytes of sent) {
    if (bytes.length > left) yield bytes.subarray(left);
    left = Math.max(0, left - bytes.length);
  }
}

/** Returns the statement with its values in the text, because COPY takes no parameters. */
function textOf(statement: SQL): string {
  const { sql: text, params } = toQuery(statement);
  return text.replace(/\$(\d+)/g, (_, number: string) => literalOf(params[Number(number) - 1]));
}

/** Quotes a literal as PostgreSQL's quote_literal does, independent of `standard_conforming_strings`. */
function literalOf(value: unknown): string {
  const text = toText(value);
  if (text === null) return 'null';
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/**
 * Streams a COPY with a plain postgres.js client. That cannot cancel a COPY, so one that is left early is read
 * to its end before the connection is released.
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
  const stream = await expectStream(connection.unsafe(text)).readable();
  const ended = finished(stream).catch(() => undefined);
  try {
    yield* stream.iterator({ destroyOnReturn: false }) as AsyncGenerator<Buffer>;
  } finally {
    stream.resume();
    await ended;
    readBehind(stream);
  }
}
