import { and, type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import { PLANNED_FOR_ITS_VALUES } from '../../driver/driver.js';
import { DataError } from '../../errors.js';
import { isMeasured } from '../../query/page-bytes.js';
import { largeTextsRead } from './project-json.js';
import { projects } from '../../schema.js';
import { DEFAULT_LIMIT } from '../../entity/keyset-list.js';
import { filterShapes, filterValues } from './project-filters.js';
import type { ProjectListQuery } from './project-list-query.js';
import { nfc } from '../../entity/normalize-texts.js';
import { searchFault, searchText } from './search-words.js';

/** The parameters of a statement, as placeholders or as values. */
type StatementValues = Record<keyof ReturnType<typeof valuesOf>, SQLWrapper>;

/**
 * Placeholders, so that one prepared statement serves all queries of one shape: the same filters and the
 * same sort.
 */
const PLACEHOLDERS = statementValues((name) => sql`${sql.placeholder(name)}`);

export const LIMIT = PLACEHOLDERS.limit;

/** Returns the values themselves, for a statement that is built for one query. */
export function asParameters(values: ReturnType<typeof valuesOf>): StatementValues {
  return statementValues((name) => sql`${sql.param(values[name])}`);
}

function statementValues(toSql: (name: keyof StatementValues) => SQLWrapper): StatementValues {
  const names = Object.keys(valuesOf({})) as (keyof StatementValues)[];
  return Object.fromEntries(names.map((name) => [name, toSql(name)])) as StatementValues;
}

/** Returns the values of the placeholders. The limit is one row more than the page, to detect a next page. */
export function valuesOf(query: ProjectListQuery, search?: string) {
  const { limit = DEFAULT_LIMIT, after } = query;
  return {
    ...filterValues(query),
    limit: limit + 1,
    afterKey: after?.key,
    afterId: after?.id,
    search,
  };
}

/** Returns the cache key of a query's statements: queries of one shape have the same statements. */
export function shapeOf(query: ProjectListQuery): string {
  const { sortBy = 'createdAt', descending = true, after, limit = DEFAULT_LIMIT } = query;
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

export function searchedBy({ q = '', technology = [], anyTechnology = [] }: ProjectListQuery) {
  return { q, technology: technology.map(nfc), anyTechnology: anyTechnology.map(nfc) };
}

/** True if the query has words or technologies, which the search index finds. */
export function isSearched({ q, technology = [], anyTechnology = [] }: ProjectListQuery): boolean {
  return q !== undefined || technology.length + anyTechnology.length > 0;
}

/** The condition that the search index finds the project. */
function matchesSearch(value: StatementValues): SQL {
  return sql`${PLANNED_FOR_ITS_VALUES} ${projects.search} @@ ${value.search}::tsquery`;
}

/** Returns the conditions of all filters on a project. */
export function projectFilters(query: ProjectListQuery, value = PLACEHOLDERS): SQL | undefined {
  return and(
    isSearched(query) ? matchesSearch(value) : undefined,
    updatedWithin(query, value),
    createdWithin(query, sql`${projects.createdAt}`, value),
  );
}

/** Returns the remaining conditions on a project from the scan of a technology's index; undefined if there are none. */
export function candidateFilters(query: ProjectListQuery): SQL | undefined {
  const value = PLACEHOLDERS;
  const { q, technology = [], anyTechnology = [] } = query;
  return and(
    q === undefined ? undefined : matchesSearch(value),
    updatedWithin(query, value),
    technology.length > 1
      ? sql`${usesOf(value.technology)} = cardinality(${value.technology}::text[])`
      : undefined,
    technology.length > 0 && anyTechnology.length > 0
      ? sql`${usesOf(value.anyTechnology)} > 0`
      : undefined,
  );
}

/** Scans the index of one technology, or of each of several alternatives, from the cursor on. */
export function technologyScan(query: ProjectListQuery, max: SQL): SQL {
  const { technology = [] } = query;
  if (technology.length > 0) return scanOneTechnology(query, rarestOf(technology), max);
  return sql`select distinct one.* from unnest(${PLACEHOLDERS.anyTechnology}::text[]) as named (name)
    cross join lateral (${scanOneTechnology(query, sql`named.name`, max)}) as one
    order by ${inOrder(query, sql`created_at`, sql`project_id`)} limit ${max}`;
}

function scanOneTechnology(query: ProjectListQuery, named: SQL, max: SQL): SQL {
  const where = and(
    sql`technology = ${named}`,
    createdWithin(query, sql`created_at`, PLACEHOLDERS),
    afterCursor(query, sql`created_at`, sql`project_id`),
  );
  return sql`select created_at, project_id from project_technologies where ${where}
    order by ${inOrder(query, sql`created_at`, sql`project_id`)} limit ${max}`;
}

/** Returns the technology that the fewest projects use, so that the scan skips as few as possible. */
function rarestOf({ length }: string[]): SQL {
  if (length === 1) return sql`(${PLACEHOLDERS.technology}::text[])[1]`;
  return sql`(select name from unnest(${PLACEHOLDERS.technology}::text[]) as named (name)
    left join technology_counts as counts on counts.technology = name order by coalesce(projects, 0) limit 1)`;
}

/** Returns the number of these technologies that the found project uses. */
function usesOf(names: SQLWrapper): SQL {
  return sql`(select count(*) from unnest(${names}::text[]) as named (name)
    join project_technologies as used on used.technology = name
      and used.created_at = found.created_at and used.project_id = found.project_id)`;
}

/** Returns a tsquery of the lexemes that `project_search` creates for these days. */
export function daysQuery(days: number[]): string {
  return days.map((day) => `'d=${day}'`).join(' | ');
}

/**
 * The condition that a project was created on these days (`day_of`), which the search index contains. The
 * range of time is a second condition, so that an index scan in the order of creation ends with the days.
 */
export function createdOnDays({ descending = true }: ProjectListQuery): SQL {
  const [days, last] = [sql.placeholder('days'), sql.placeholder('lastDay')];
  const end = descending ? sql`>= to_timestamp(` : sql`< to_timestamp(86400 + `;
  return sql`${projects.search} @@ ${days}::tsquery
    and ${projects.createdAt} ${end}86400 * ${last}::float8)`;
}

/**
 * Prepares a statement that reads the days of the first and the last project in the order of the list, and of
 * the first one after the cursor.
 */
export function prepareEnds(db: Db, query: ProjectListQuery) {
  const [key, id] = [sql`${projects.createdAt}`, sql`${projects.id}`];
  const descending = query.descending ?? true;
  const dayAt = (order: ProjectListQuery, from?: SQL) =>
    sql<number | null>`day_of((${db
      .select({ createdAt: projects.createdAt })
      .from(projects)
      .where(and(createdWithin(query, key, PLACEHOLDERS), from))
      .orderBy(inOrder(order, key, id))
      .limit(1)}))`;
  return db
    .select({
      first: dayAt({ descending }),
      last: dayAt({ descending: !descending }),
      ...(query.after && { behindCursor: dayAt({ descending }, afterCursor(query, key, id)) }),
    })
    .from(sql`(values (1)) as once`)
    .prepare('ends');
}

function updatedWithin(
  { updatedFrom, updatedTo }: ProjectListQuery,
  value: StatementValues,
): SQL | undefined {
  return and(
    updatedFrom && sql`${projects.updatedAt} >= ${value.updatedFrom}::timestamptz`,
    updatedTo && sql`${projects.updatedAt} < ${value.updatedTo}::timestamptz`,
  );
}

function createdWithin(
  { createdFrom, createdTo }: ProjectListQuery,
  column: SQL,
  value: StatementValues,
): SQL | undefined {
  return and(
    createdFrom && sql`${column} >= ${value.createdFrom}::timestamptz`,
    createdTo && sql`${column} < ${value.createdTo}::timestamptz`,
  );
}

/** The condition for rows after the cursor. */
export function afterCursor(query: ProjectListQuery, key: SQL, id: SQL): SQL | undefined {
  const { after, descending = true, sortBy } = query;
  if (!after) return undefined;
  const type = sql.raw(sortBy === 'name' ? 'text' : 'timestamptz');
  const comparison = sql.raw(descending ? '<' : '>');
  return sql`(${key}, ${id}) ${comparison} (${PLACEHOLDERS.afterKey}::${type}, ${PLACEHOLDERS.afterId}::uuid)`;
}

export function inOrder({ descending = true }: ProjectListQuery, key: SQL, id: SQL): SQL {
  const direction = sql.raw(descending ? 'desc' : 'asc');
  return sql`${key} ${direction}, ${id} ${direction}`;
}
