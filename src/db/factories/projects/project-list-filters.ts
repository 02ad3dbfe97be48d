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
import { searchText } from './search-words.js';

/** For each value of a statement a placeholder, or the value itself. */
type StatementValues = Record<keyof ReturnType<typeof valuesOf>, SQLWrapper>;

/**
 * Placeholders, so that one statement serves every query of a shape: which of the filters there are,
 * and the order.
 */
const PLACEHOLDERS = statementValues((name) => sql`${sql.placeholder(name)}`);

export const LIMIT = PLACEHOLDERS.limit;

/** The values themselves, for a statement that is made for one query. */
export function asParameters(values: ReturnType<typeof valuesOf>): StatementValues {
  return statementValues((name) => sql`${sql.param(values[name])}`);
}

function statementValues(toSql: (name: keyof StatementValues) => SQLWrapper): StatementValues {
  const names = Object.keys(valuesOf({})) as (keyof StatementValues)[];
  return Object.fromEntries(names.map((name) => [name, toSql(name)])) as StatementValues;
}

/** What the placeholders are filled with; one row more than the page holds tells whether there are more. */
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

/** Queries of one shape have the same statements. */
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

/** Written for PostgreSQL whoever asks; for HTTP it has been seen already that it can be. */
const WORDS = {
  mapToDriverValue(q: unknown): string {
    const text = q === '' ? '' : searchText(q as string);
    if (text === undefined) throw new DataError('invalid_value', 'The search names no word.');
    return text;
  },
};

/** The words and the technologies as one tsquery, typos resolved, for `search`: made ahead, so that the planner sees its value. */
export const SEARCH_QUERY = sql<string>`search_query(${sql.param(sql.placeholder('q'), WORDS)}, ${PLACEHOLDERS.technology}::text[], ${PLACEHOLDERS.anyTechnology}::text[])::text`;

/** Finds what `search` is asked for by a query, from `searchedBy` it; to be prepared once. */
export function prepareSearch(db: Db) {
  return db
    .select({ search: SEARCH_QUERY })
    .from(sql`(values (1)) as once`)
    .prepare('search');
}

export function searchedBy({ q = '', technology = [], anyTechnology = [] }: ProjectListQuery) {
  return { q, technology: technology.map(nfc), anyTechnology: anyTechnology.map(nfc) };
}

/** Whether the words or the technologies are looked up in the search index. */
export function isSearched({ q, technology = [], anyTechnology = [] }: ProjectListQuery): boolean {
  return q !== undefined || technology.length + anyTechnology.length > 0;
}

/** That the search index finds the project. */
function matchesSearch(value: StatementValues): SQL {
  return sql`${PLANNED_FOR_ITS_VALUES} ${projects.search} @@ ${value.search}::tsquery`;
}

/** What must hold of a project, whatever is walked. */
export function projectFilters(query: ProjectListQuery, value = PLACEHOLDERS): SQL | undefined {
  return and(
    isSearched(query) ? matchesSearch(value) : undefined,
    updatedWithin(query, value),
    createdWithin(query, sql`${projects.createdAt}`, value),
  );
}

/** What must hold of a project that uses the technology walked; undefined if that is all. */
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

/** The index of one technology, or of each of several alternatives, from the cursor on. */
export function technologyWalk(query: ProjectListQuery, most: SQL): SQL {
  const { technology = [] } = query;
  if (technology.length > 0) return walkOneTechnology(query, rarestOf(technology), most);
  return sql`select distinct one.* from unnest(${PLACEHOLDERS.anyTechnology}::text[]) as named (name)
    cross join lateral (${walkOneTechnology(query, sql`named.name`, most)}) as one
    order by ${inOrder(query, sql`created_at`, sql`project_id`)} limit ${most}`;
}

function walkOneTechnology(query: ProjectListQuery, named: SQL, most: SQL): SQL {
  const where = and(
    sql`technology = ${named}`,
    createdWithin(query, sql`created_at`, PLACEHOLDERS),
    afterCursor(query, sql`created_at`, sql`project_id`),
  );
  return sql`select created_at, project_id from project_technologies where ${where}
    order by ${inOrder(query, sql`created_at`, sql`project_id`)} limit ${most}`;
}

/** The technology that the fewest projects use, so that the fewest are passed over. */
function rarestOf({ length }: string[]): SQL {
  if (length === 1) return sql`(${PLACEHOLDERS.technology}::text[])[1]`;
  return sql`(select name from unnest(${PLACEHOLDERS.technology}::text[]) as named (name)
    left join technology_counts as counts on counts.technology = name order by coalesce(projects, 0) limit 1)`;
}

/** How many of the technologies the project found uses. */
function usesOf(names: SQLWrapper): SQL {
  return sql`(select count(*) from unnest(${names}::text[]) as named (name)
    join project_technologies as used on used.technology = name
      and used.created_at = found.created_at and used.project_id = found.project_id)`;
}

/** A tsquery of the lexemes that `project_search` makes of these days. */
export function daysQuery(days: number[]): string {
  return days.map((day) => `'d=${day}'`).join(' | ');
}

/**
 * Created on these days (`day_of`), which the search index knows. They are also given as moments, so that
 * a walk in the order of creation ends with them.
 */
export function createdOnDays({ descending = true }: ProjectListQuery): SQL {
  const [days, last] = [sql.placeholder('days'), sql.placeholder('lastDay')];
  const end = descending ? sql`>= to_timestamp(` : sql`< to_timestamp(86400 + `;
  return sql`${projects.search} @@ ${days}::tsquery
    and ${projects.createdAt} ${end}86400 * ${last}::float8)`;
}

/**
 * The days of the first and the last project in the order of the list, and of the first behind the
 * cursor; to be prepared.
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

/** What comes after the page before. */
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
