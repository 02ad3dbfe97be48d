import { is } from 'drizzle-orm';
import { type PgColumn, PgEnumColumn, PgEnumObjectColumn } from 'drizzle-orm/pg-core';

/**
 * Returns the type to which a statement casts the values of a column, as SQL. It has no length, because a cast would
 * truncate a long text. Drizzle's type of an enum has neither its schema nor quotes, and `serial` is no type.
 */
export function castTypeOf(column: PgColumn): string {
  if (is(column, PgEnumColumn) || is(column, PgEnumObjectColumn)) {
    const { schema, enumName } = column.enum;
    return [schema, enumName].flatMap((part) => (part ? quoted(part) : [])).join('.');
  }
  return column
    .getSQLType()
    .replace(/^varchar\(\d+\)$/, 'text')
    .replace(/^serial$/, 'integer')
    .replace(/serial$/, 'int');
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
