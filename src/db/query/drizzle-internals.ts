import { Column, is, type SQL, type SQLWrapper, Subquery } from 'drizzle-orm';
import {
  PgDialect,
  type PgPreparedQuery,
  PgTransaction,
  type PreparedQueryConfig,
} from 'drizzle-orm/pg-core';
import type { Sql } from 'postgres';

/*
 * Everything that this service uses inside drizzle-orm@0.45.4 and that its documentation does not promise. No
 * other file uses it (test/repository/dependencies.spec.ts). Read this file before an upgrade.
 */

/** 1. A client of postgres.js as drizzle uses it (postgres-js/session.js): only these members are called. */
export interface DrizzleClient {
  options: DrizzleOptions;
  /** Returns a query that runs when it is awaited, or when `values()` asks for rows as arrays. */
  unsafe(text: string, params: unknown[]): PromiseLike<unknown> & { values(): Promise<unknown> };
  /** Only the pool has it: drizzle runs a transaction with it. */
  begin?(work: (transaction: Sql) => Promise<unknown>): Promise<unknown>;
  /** Only a transaction has it: drizzle runs a nested transaction with it. */
  savepoint?(work: (transaction: Sql) => Promise<unknown>): Promise<unknown>;
}

/** The options into which drizzle writes its parsers and serializers. */
export interface DrizzleOptions {
  parsers: Record<number, (text: string) => unknown>;
  serializers: object;
}

/** Gives our driver the type of the postgres.js client that `drizzle()` takes. */
export function asDrizzleClient(driver: DrizzleClient): Sql {
  return driver as unknown as Sql;
}

/** 2. The client that drizzle was created with. The type of a database or transaction does not have it. */
export function clientOf(db: object): unknown {
  return (db as { $client?: unknown }).$client;
}

/** True if `db` is an open transaction. */
export function isTransaction(db: unknown): boolean {
  return is(db, PgTransaction);
}

export type Query = PgPreparedQuery<PreparedQueryConfig>;

/** 3. The fields of a prepared query of one table: the selected values, and the mapper of its rows. */
interface Prepared {
  fields: { path: string[]; field: unknown }[];
  customResultMapper?: (rows: unknown[][]) => unknown[];
}

/** A selected value: its place in the row, its name, and its column unless it is an expression. */
export interface SelectedField {
  at: number;
  name: string;
  column: Column | undefined;
}

/** Returns what a prepared query selects, in the order of its rows. */
export function selectedFields(query: Query): SelectedField[] {
  return (query as unknown as Prepared).fields.map(({ path, field }, at) => ({
    at,
    name: path[0]!,
    column: is(field, Column) ? field : undefined,
  }));
}

/** Replaces drizzle's mapper of the rows of a prepared query. */
export function mapRowsBy(query: Query, map: (rows: unknown[][]) => unknown[]): void {
  (query as unknown as Prepared).customResultMapper = map;
}

/** 4. A select from raw SQL as if it were a table. The query builder has no documented way for it. */
export function subquery(
  rows: SQLWrapper,
  columns: Record<string, unknown>,
  alias: string,
): Subquery {
  return new Subquery(rows as SQL, columns, alias);
}

const dialect = new PgDialect();

/** 5. The text and the parameters of a statement, without a connection. */
export function toQuery(statement: SQL): { sql: string; params: unknown[] } {
  return dialect.sqlToQuery(statement);
}
