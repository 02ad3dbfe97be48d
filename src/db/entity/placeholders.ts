import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import { orDefault } from './defaults.js';
import type { Entity } from './entity.js';

/**
 * Creates placeholders for the values of columns, each with the encoding of its column. `of` distinguishes the
 * placeholders of several rows.
 */
export function placeholders(
  { columns }: Entity,
  names: readonly string[],
  of = '',
): Record<string, SQL> {
  return Object.fromEntries(
    names.map((name) => [
      name,
      sql`${sql.param(sql.placeholder(name + of), encoderOf(columns[name]!))}`,
    ]),
  );
}

/** Does the same for a whole row. Null stands for an omitted value of a column with an SQL default. */
export function rowPlaceholders(
  entity: Entity,
  names: readonly string[],
  of = '',
): Record<string, SQL> {
  const given = Object.entries(placeholders(entity, names, of));
  return Object.fromEntries(
    given.map(([name, value]) => [name, orDefault(entity.columns[name]!, value)]),
  );
}

/** Drizzle's encoders take no null: that of a list throws, and that of jsonb writes the JSON null. */
function encoderOf(column: PgColumn) {
  return {
    mapToDriverValue: (value: unknown) => (value === null ? null : column.mapToDriverValue(value)),
  };
}
