import { is, type SQL, sql, type SQLWrapper } from 'drizzle-orm';
import { type PgColumn, PgEnumColumn, PgEnumObjectColumn } from 'drizzle-orm/pg-core';
import { quoted } from './quoting.js';

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

/** Casts a parameter to the type of a column. A host's postgres.js would send any text for a boolean as false. */
export function toTypeOf(column: PgColumn, parameter: SQLWrapper): SQL {
  return sql`${parameter}::${sql.raw(castTypeOf(column).replace(/^boolean$/, 'text::boolean'))}`;
}

/**
 * Casts a parameter to an array of the type. Of booleans, dates and times the parameter is an array of texts, because
 * postgres.js, which a host may use, cannot send others from drizzle.
 */
export function toArrayOf(type: string, parameter: SQLWrapper): SQL {
  const texts = /^(boolean|date|timestamp)/.test(type) ? 'text[]::' : '';
  return sql`${parameter}::${sql.raw(`${texts}${type}[]`)}`;
}
