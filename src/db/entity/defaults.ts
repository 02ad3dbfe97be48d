import { is, type SQL, SQL as SqlClass, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

/**
 * Returns the values of columns that a client may omit: the constant default, or null if null is allowed. The
 * statement applies a default in SQL (`orDefault`).
 */
export function defaultsOf(columns: Record<string, PgColumn>): Record<string, unknown> {
  const optional = Object.entries(columns).filter(([, column]) => mayBeLeftOut(column));
  return Object.fromEntries(optional.map(([name, column]) => [name, column.default ?? null]));
}

function mayBeLeftOut(column: PgColumn): boolean {
  if (!column.hasDefault) return !column.notNull;
  return column.default !== undefined && !isSql(column.default); // `serial` and identity have no value
}

interface WithDefaults {
  written: readonly string[];
  defaults: Readonly<Record<string, unknown>>;
}

/** Returns the written values of a row, including the omitted ones. */
export function withDefaults<T extends object>({ written, defaults }: WithDefaults, values: T): T {
  const missing = written.filter((name) => values[name as keyof T] === undefined);
  if (missing.length === 0) return values;
  return {
    ...values,
    ...Object.fromEntries(missing.map((name) => [name, defaults[name] ?? null])),
  };
}

/** Returns the value, or, if it is null, the SQL default of the column. */
export function orDefault(column: PgColumn, value: SQL): SQL {
  return isSql(column.default) ? sql`coalesce(${value}, ${column.default})` : value;
}

function isSql(value: unknown): value is SQL {
  return is(value, SqlClass);
}
