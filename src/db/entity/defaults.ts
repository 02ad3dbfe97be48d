import { is, type SQL, SQL as SqlClass, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

/**
 * The values of columns that a client may leave out: the constant default, or null where null is
 * allowed. A default in SQL is left to the statement (`orDefault`).
 */
export function defaultsOf(columns: Record<string, PgColumn>): Record<string, unknown> {
  const optional = Object.entries(columns).filter(([, column]) => mayBeLeftOut(column));
  return Object.fromEntries(optional.map(([name, column]) => [name, column.default ?? null]));
}

function mayBeLeftOut(column: PgColumn): boolean {
  return column.hasDefault ? !isSql(column.default) : !column.notNull;
}

interface WithDefaults {
  written: readonly string[];
  defaults: Readonly<Record<string, unknown>>;
}

/** The written values of a row, those that were left out included. */
export function withDefaults<T extends object>({ written, defaults }: WithDefaults, values: T): T {
  const missing = written.filter((name) => values[name as keyof T] === undefined);
  if (missing.length === 0) return values;
  return {
    ...values,
    ...Object.fromEntries(missing.map((name) => [name, defaults[name] ?? null])),
  };
}

/** The value, or where it is null the default that the column has in SQL. */
export function orDefault(column: PgColumn, value: SQL): SQL {
  return isSql(column.default) ? sql`coalesce(${value}, ${column.default})` : value;
}

function isSql(value: unknown): value is SQL {
  return is(value, SqlClass);
}
