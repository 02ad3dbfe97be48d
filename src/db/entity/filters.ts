import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import { castTypeOf, toArrayOf, toTypeOf } from './cast-type.js';

/** The values that a filter accepts, as plain data. List routes are validated and documented by it. */
export type FilterDomain =
  | { kind: 'text'; maxLength: number }
  | { kind: 'integer'; min: number; max: number }
  | { kind: 'enum'; values: readonly string[] }
  | { kind: 'uuid' }
  | { kind: 'date' }
  | { kind: 'moment' };

/** One filter of a list. Its name is its key in the table of filters. */
export interface Filter {
  domain: FilterDomain;
  /** True if it may be given several times; its value is then a list. */
  repeatable: boolean;
  /** A sentence for the documentation. */
  description: string;
  /** Returns the condition for the given value, or for the list of values. */
  where: (value: SQL) => SQL;
}

/** The filters of an entity by the names of their parameters. */
export type FilterTable = Readonly<Record<string, Filter>>;

/** The given values of filters by their names. */
export type FilterValues = Readonly<Record<string, unknown>>;

type Range = { min: number; max: number };

/** Selects rows whose column has this value or, if it is repeated, one of the values. */
export function oneOf(column: PgColumn, range?: Range): Filter {
  return {
    domain: domainOf(column, range),
    repeatable: true,
    description: `Only entries whose \`${column.name}\` has this value or, if the parameter is repeated, one of the values.`,
    where: (value) => sql`${column} = any(${toArrayOf(castTypeOf(column), value)})`,
  };
}

/** Selects rows whose column has this value or a greater one. */
export function atLeast(column: PgColumn, range?: Range): Filter {
  return comparison(column, '>=', 'at least this', range);
}

/** Selects rows whose column has this value or a smaller one. */
export function atMost(column: PgColumn, range?: Range): Filter {
  return comparison(column, '<=', 'at most this', range);
}

/** Selects rows whose timestamp or date is before this one. */
export function before(column: PgColumn): Filter {
  return comparison(column, '<', `before this ${isDate(column) ? 'date' : 'time'}`);
}

/** Selects rows whose timestamp or date is this one or later. */
export function from(column: PgColumn): Filter {
  return comparison(column, '>=', isDate(column) ? 'this date or later' : 'at or after this time');
}

function isDate(column: PgColumn): boolean {
  return column.getSQLType() === 'date';
}

function comparison(column: PgColumn, operator: string, words: string, range?: Range): Filter {
  return {
    domain: domainOf(column, range),
    repeatable: false,
    description: `Only entries whose \`${column.name}\` is ${words}.`,
    where: (value) => sql`${column} ${sql.raw(operator)} ${toTypeOf(column, value)}`,
  };
}

const LONGEST_TEXT = 255;

/** Derives the domain from the type of the column. Throws TypeError for an unsupported type; an integer needs its range. */
function domainOf(column: PgColumn, range?: Range): FilterDomain {
  const type = column.getSQLType();
  if (column.enumValues) return { kind: 'enum', values: column.enumValues };
  if (type === 'integer' && range) return { kind: 'integer', ...range };
  if (type === 'uuid') return { kind: 'uuid' };
  if (type === 'date') return { kind: 'date' };
  if (type.startsWith('timestamp')) return { kind: 'moment' };
  const length = /^varchar\((\d+)\)$/.exec(type)?.[1];
  if (type === 'text' || length) {
    return { kind: 'text', maxLength: length ? Number(length) : LONGEST_TEXT };
  }
  throw new TypeError(
    `There is no filter for the column ${column.name} of type ${type}` +
      (type === 'integer'
        ? ': give its smallest and its greatest value.'
        : '. Write a `Filter` of your own, with its `domain` and its condition `where`.'),
  );
}
