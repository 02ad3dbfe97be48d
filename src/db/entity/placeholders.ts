import { type SQL, sql } from 'drizzle-orm';
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
