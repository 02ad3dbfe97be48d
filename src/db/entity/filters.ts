import { type SQL, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

/** The values that a filter takes, as plain data: a list route validates and documents them by it. */
export type FilterDomain =
  | { kind: 'text'; maxLength: number }
  | { kind: 'integer'; min: number; max: number }
  | { kind: 'enum'; values: readonly string[] }
  | { kind: 'uuid' }
  | { kind: 'moment' };

/** One filter of a list. Its name is its key in the table of filters. */
export interface Filter {
  domain: FilterDomain;
  /** Whether it may be given several times; its value is then a list. */
  repeatable: boolean;
  /** What it selects, as a sentence for the documentation. */
  description: string;
  /** The condition; `value` stands for the value given, or the list of them. */
  where: (value: SQL) => SQL;
}

/** Every filter of an entity, by the name of its parameter. */
export type FilterTable = Readonly<Record<string, Filter>>;

/** The values given for some of the filters, by their names. */
export type FilterValues = Readonly<Record<string, unknown>>;

type Range = { min: number; max: number };

/** Rows whose column has this value; given several times, one of the values. */
export function oneOf(column: PgColumn, range?: Range): Filter {
  return {
    domain: domainOf(column, range),
    repeatable: true,
    description: `Only those whose \`${column.name}\` is this; given several times, one of these.`,
    where: (value) => sql`${column} = any(${value}::${sql.raw(column.getSQLType())}[])`,
  };
}

/** Rows whose column has this value or a greater one. */
export function atLeast(column: PgColumn, range?: Range): Filter {
  return comparison(column, '>=', 'at least this', range);
}

/** Rows whose column has this value or a smaller one. */
export function atMost(column: PgColumn, range?: Range): Filter {
  return comparison(column, '<=', 'at most this', range);
}

/** Rows whose moment is before this one. */
export function before(column: PgColumn): Filter {
  return comparison(column, '<', 'before this moment');
}

/** Rows whose moment is this one or a later one. */
export function from(column: PgColumn): Filter {
  return comparison(column, '>=', 'this moment or later');
}

function comparison(column: PgColumn, operator: string, words: string, range?: Range): Filter {
  return {
    domain: domainOf(column, range),
    repeatable: false,
    description: `Only those whose \`${column.name}\` is ${words}.`,
    where: (value) => sql`${column} ${sql.raw(operator)} ${value}::${sql.raw(column.getSQLType())}`,
  };
}

const LONGEST_TEXT = 255;

/** Throws TypeError for a type of column that has no filter yet; an integer needs its range. */
function domainOf(column: PgColumn, range?: Range): FilterDomain {
  const type = column.getSQLType();
  if (column.enumValues) return { kind: 'enum', values: column.enumValues };
  if (type === 'integer' && range) return { kind: 'integer', ...range };
  if (type === 'uuid') return { kind: 'uuid' };
  if (type.startsWith('timestamp')) return { kind: 'moment' };
  const length = /^varchar\((\d+)\)$/.exec(type)?.[1];
  if (type === 'text' || length) {
    return { kind: 'text', maxLength: length ? Number(length) : LONGEST_TEXT };
  }
  throw new TypeError(
    `There is no filter for the column ${column.name} of type ${type}` +
      (type === 'integer' ? ': give its smallest and its greatest value.' : '.'),
  );
}
