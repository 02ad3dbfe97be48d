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

/** Runs when the test is over, the last one given first. */
export function atEnd(end: () => unknown): void {
  ends.push(end);
}

/** To be called once in a spec that uses this file. */
export function endEachTest(): void {
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
}

/** A connection of the product, closed when the test is over. */
export function connect(config: TDatabaseConfig): DatabaseConnection {
  const connection = createDatabaseConnection(config);
  atEnd(() => connection.close());
  return connection;
}

/** A client of the published driver, to observe with and to compare with. */
export function connectPlainly(url: string, options: object = {}): postgres.Sql {
  const client = postgres(url, { max: 1, onnotice: () => {}, ...options });
  atEnd(() => client.end({ timeout: 0 }));
  return client;
}

/** The processes that wait for a lock of a table in this database. The server has the databases of other specs as well. */
export async function waitingForLocks(
  sql: postgres.Sql | postgres.TransactionSql,
): Promise<number[]> {
  const rows = await sql<{ pid: number }[]>`select pid from pg_locks where not granted
    and database = (select oid from pg_database where datname = current_database())`;
  return rows.map(({ pid }) => pid);
}

/** The code a call fails with, as callers of the product see it; `none` when it succeeds. */
export async function codeOf(call: PromiseLike<unknown>): Promise<string> {
  try {
    await call;
    return 'none';
  } catch (error) {
    return asDataError(error)?.code ?? String(error);
  }
}

/** How long a call takes, in milliseconds, however it ends. */
export async function timeOf(call: PromiseLike<unknown>): Promise<number> {
  const began = performance.now();
  await codeOf(call);
  return performance.now() - began;
}

/** Resolves when the condition holds; rejects when it does not within the time. */
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

/** The process number of the server's side of this connection. */
export async function backendOf(db: Db): Promise<number> {
  const [row] = await db.execute<{ pid: number }>(sql`select pg_backend_pid() as pid`);
  return row!.pid;
}
