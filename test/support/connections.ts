import { sql } from 'drizzle-orm';
import postgres from 'postgres';
import {
  createDatabaseConnection,
  type DatabaseConnection,
  type Db,
  type TDatabaseConfig,
} from '../../src/db/connection.js';
import { asDataError } from '../../src/db/errors.js';

const ends: (() => unknown)[] = [];

/** Run when the test ends, in reverse order. */
export function atEnd(end: () => unknown): void {
  ends.push(end);
}

/** Call it once in a spec that uses this file. */
export function endEachTest(): void {
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
}

/** Opens a connection of the product, which is closed when the test ends. */
export function connect(config: TDatabaseConfig): DatabaseConnection {
  const connection = createDatabaseConnection(config);
  atEnd(() => connection.close());
  return connection;
}

/** Opens a client of the published driver, for observation and comparison. */
export function connectPlainly(url: string, options: object = {}): postgres.Sql {
  const client = postgres(url, { max: 1, onnotice: () => {}, ...options });
  atEnd(() => client.end({ timeout: 0 }));
  return client;
}

/**
 * Returns the processes that wait for a lock of a table in this database. The server also has the databases of other
 * specs.
 */
export async function waitingForLocks(
  sql: postgres.Sql | postgres.TransactionSql,
): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`select pid from pg_locks where not granted
    and database = (select oid from pg_database where datname = current_database())`;
  return rows.map(({ pid }) => pid);
}

/** Returns the code that a call fails with, as callers of the product see it; `none` when it succeeds. */
export async function codeOf(call: PromiseLike<unknown>): Promise<string> {
  try {
    await call;
    return 'none';
  } catch (error) {
    return asDataError(error)?.code ?? String(error);
  }
}

/** Returns the duration of a call in milliseconds, also if it fails. */
export async function timeOf(call: PromiseLike<unknown>): Promise<number> {
  const began = performance.now();
  await codeOf(call);
  return performance.now() - began;
}

/** Resolves when the condition is true; rejects if it is still false after the time limit. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline)
      throw new Error(`Not so within ${timeoutMs} ms: ${condition.toString()}`);
    await sleep(10);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Returns the process id of the server's backend for this connection. */
export async function backendOf(db: Db): Promise<number> {
  const [row] = await db.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
  return row!.pid;
}
