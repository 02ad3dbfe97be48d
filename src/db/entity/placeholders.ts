import { type SQL, sql } from 'drizzle-orm';
import { orDefault } from './defaults.js';
import type { Entity } from './entity.js';

/** Placeholders for the values of columns, each with the column's own encoding; `of` tells those of several rows apart. */
export function placeholders(
  { columns }: Entity,
  names: readonly string[],
  of = '',
): Record<string, SQL> {
  return Object.fromEntries(
    names.map((name) => [name, sql`${sql.param(sql.placeholder(name + of), columns[name])}`]),
  );
}

/** The same for a whole row, where null stands for a value that was left out and has a default in SQL. */
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
