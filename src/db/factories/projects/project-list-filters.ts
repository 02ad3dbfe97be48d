import { type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import { DataError } from '../../errors.js';
import { isMeasured } from '../../query/page-bytes.js';
import { largeTextsRead } from './project-json.js';
import { filterShapes, filterValues, type StatementValues } from './project-filters.js';
import { type NormalizedQuery, normalizeQuery } from './project-list-query.js';
import { nfc } from '../../entity/normalize-texts.js';
import { searchFault, searchText } from './search-words.js';

/**
 * Placeholders, so that one prepared statement serves all queries of one shape: the same filters and the
 * same sort.
 */
export const PLACEHOLDERS = statementValues((name) => sql`${sql.placeholder(name)}`);

/** Returns the values themselves, for a statement that is built for one query. */
export function asParameters(values: ReturnType<typeof valuesOf>): StatementValues {
  return statementValues((name) => sql`${sql.param(values[name])}`);
}

function statementValues(toSql: (name: keyof StatementValues) => SQLWrapper): StatementValues {
  const names = Object.keys(valuesOf(normalizeQuery({}))) as (keyof StatementValues)[];
  return Object.fromEntries(names.map((name) => [name, toSql(name)])) as StatementValues;
}

/** Returns the values of the placeholders. The limit is one row more than the page, to detect a next page. */
export function valuesOf(
  query: NormalizedQuery,
  search?: string,
): Record<keyof StatementValues, unknown> & { limit: number } {
  const { limit, after } = query;
  return {
    ...filterValues(query),
    limit: limit + 1,
    afterKey: after?.key,
    afterId: after?.id,
    search,
  };
}

/** Returns the cache key of a query's statements: queries of one shape have the same statements. */
export function shapeOf(query: NormalizedQuery): string {
  const { sortBy, descending, after, limit } = query;
  return [
    sortBy,
    descending,
    after !== undefined,
    ...filterShapes(query),
    largeTextsRead(query.fields),
    isMeasured(limit),
  ].join();
}

/** Converts `q` for PostgreSQL. HTTP requests are validated before; the error is for other callers. */
const WORDS = {
  mapToDriverValue(q: unknown): string {
    const text = q === '' ? '' : searchText(q as string);
    if (text === undefined)
      throw new DataError('invalid_value', `The search ${searchFault(q as string)}.`);
    return text;
  },
};

/**
 * Builds one tsquery from the words, with typos resolved, and the technologies. It is a separate statement,
 * so that the planner knows the value when it plans the search.
 */
const SEARCH_QUERY = sql<string>`search_query(${sql.param(sql.placeholder('q'), WORDS)}, ${PLACEHOLDERS.technology}::text[], ${PLACEHOLDERS.anyTechnology}::text[])::text`;

/** Prepares the statement that builds the tsquery from the values of `searchedBy`. */
export function prepareSearch(db: Db) {
  return db
    .select({ search: SEARCH_QUERY })
    .from(sql`(values (1)) as once`)
    .prepare('search');
}

export function searchedBy({ q = '', technology, anyTechnology }: NormalizedQuery) {
  return { q, technology: technology.map(nfc), anyTechnology: anyTechnology.map(nfc) };
}

/** The condition for rows after the cursor. */
export function afterCursor(query: NormalizedQuery, key: SQL, id: SQL): SQL | undefined {
  const { after, descending, sortBy } = query;
  if (!after) return undefined;
  const type = sql.raw(sortBy === 'name' ? 'text' : 'timestamptz');
  const comparison = sql.raw(descending ? '<' : '>');
  return sql`(${key}, ${id}) ${comparison} (${PLACEHOLDERS.afterKey}::${type}, ${PLACEHOLDERS.afterId}::uuid)`;
}

export function inOrder({ descending }: { descending: boolean }, key: SQL, id: SQL): SQL {
  const direction = sql.raw(descending ? 'desc' : 'asc');
  return sql`${key} ${direction}, ${id} ${direction}`;
}
