import { and, count, getTableColumns, gte, lt, type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { PLANNED_FOR_ITS_VALUES } from '../driver.js';
import { type Project, projects } from '../schema.js';

const { search, ...answered } = getTableColumns(projects);

/** Every column that is answered. */
export const PROJECT_COLUMNS = answered;

export const PROJECT_SORT_KEYS = ['createdAt', 'updatedAt', 'name'] as const;
export const PROJECT_FIELDS = Object.keys(PROJECT_COLUMNS) as (keyof Project)[];
export const COUNTS = ['none', 'estimated', 'exact'] as const;

/** Where a page ends: the sort key and the id of its last project. */
export interface Position {
  key: string;
  id: string;
}

/** What to list: every filter must hold. The one query object, for HTTP, the factory and code. */
export interface ProjectListQuery {
  /** The most projects of a page; default 50. */
  limit?: number;
  /** The end of the page before, from its `next`. */
  after?: Position;
  /** Default `createdAt`. */
  sortBy?: (typeof PROJECT_SORT_KEYS)[number];
  /** Default true: the newest, or the end of the alphabet, first. */
  descending?: boolean;
  /** Uses all of these. */
  technology?: string[];
  /** Uses one of these. */
  anyTechnology?: string[];
  /** Words, "quoted phrases" and -not, over name, technologies and description; forgives a typo in a name. */
  q?: string;
  /** From this moment on. */
  createdFrom?: Date;
  /** Before this moment. */
  createdTo?: Date;
  updatedFrom?: Date;
  updatedTo?: Date;
  /** The fields to read; default all. */
  fields?: (keyof Project)[];
  /** Whether to count all that match; default `none`. */
  count?: (typeof COUNTS)[number];
}

export interface ProjectPage {
  projects: Partial<Project>[];
  /** Where the next page begins; undefined on the last. */
  next?: Position;
  total?: number;
  totalIsEstimate?: boolean;
}

type Row = Pick<Project, 'id' | (typeof PROJECT_SORT_KEYS)[number]> & Partial<Project>;

/** How many projects of a technology are looked at before the search index is asked for the other filters. */
const CANDIDATES = 1000;

/**
 * A page of projects, by key. Walking page after page while others write meets every project once
 * that stands all along; one whose sort key changes meanwhile moves.
 *
 * How it stays fast as the table grows (docs/performance.md has the plans): without a technology, an
 * index in the order of the sort is walked or the search index is asked, whichever the planner finds
 * cheaper for these very words. With technologies, in order of creation, the index of the rarest is
 * walked; where other filters must be looked up in the projects, only so far.
 */
export async function listProjects(db: Db, query: ProjectListQuery = {}): Promise<ProjectPage> {
  const { limit = 50 } = query;
  const [rows, counted] = await Promise.all([findRows(db, query, limit + 1), countAll(db, query)]);
  return { ...pageOf(query, rows), ...counted };
}

/** The page of a query, from its rows and one more if there are more. */
export function pageOf(query: ProjectListQuery, rows: Row[]): ProjectPage {
  const { limit = 50, sortBy = 'createdAt', fields } = query;
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    projects: fields ? page.map((row) => pick(row, fields)) : page,
    next: last && rows.length > limit ? { key: last[sortBy], id: last.id } : undefined,
  };
}

/** Whether a query asks for nothing but the newest projects. */
export function isNewestPage({
  limit,
  sortBy,
  descending,
  count,
  ...others
}: ProjectListQuery): boolean {
  return (
    (sortBy ?? 'createdAt') === 'createdAt' &&
    (descending ?? true) &&
    (count ?? 'none') === 'none' &&
    Object.values(others).every((filter) => filter === undefined)
  );
}

async function findRows(db: Db, query: ProjectListQuery, limit: number): Promise<Row[]> {
  const { sortBy = 'createdAt', technology = [], anyTechnology = [] } = query;
  if (sortBy !== 'createdAt' || technology.length + anyTechnology.length === 0) {
    return await walkProjects(db, query, limit);
  }
  if (hasOneWalk(query)) return await walkTechnologies(db, query, limit);
  if (technology.length > 0) {
    const rows = await walkTechnologies(db, query, limit, await candidateFilters(db, query));
    if (rows.length === limit) return rows;
  }
  return await walkProjects(db, query, limit);
}

/** Whether all that is asked for stands in the index of one technology, or of alternatives. */
function hasOneWalk(query: ProjectListQuery): boolean {
  const { q, updatedFrom, updatedTo, technology = [], anyTechnology = [] } = query;
  const walks = technology.length + (anyTechnology.length > 0 ? 1 : 0);
  return walks === 1 && q === undefined && updatedFrom === undefined && updatedTo === undefined;
}

/** The words and the technologies as one tsquery, typos resolved; made ahead, so that the planner sees its value. */
async function searchOf(db: Db, query: ProjectListQuery): Promise<SQL | undefined> {
  const { q, technology = [], anyTechnology = [] } = query;
  if (q === undefined && technology.length + anyTechnology.length === 0) return undefined;
  const [row] = await db.execute<{ query: string }>(
    sql`select search_query(${q ?? ''}, ${sql.param(technology)}::text[], ${sql.param(anyTechnology)}::text[])::text as query`,
  );
  return sql`${PLANNED_FOR_ITS_VALUES} ${projects.search} @@ ${row!.query}::tsquery`;
}

/** What must hold of a project that uses the technology walked. */
async function candidateFilters(db: Db, query: ProjectListQuery): Promise<SQL | undefined> {
  const { q, technology = [], anyTechnology = [] } = query;
  return and(
    q === undefined ? undefined : await searchOf(db, { q }),
    updatedWithin(query),
    technology.length > 1 ? usesOf(technology, technology.length) : undefined,
    anyTechnology.length > 0 ? usesOf(anyTechnology, 1) : undefined,
  );
}

/** What must hold of a project, whatever is walked. */
async function projectFilters(db: Db, query: ProjectListQuery): Promise<SQL | undefined> {
  return and(
    await searchOf(db, query),
    updatedWithin(query),
    createdWithin(query, sql`${projects.createdAt}`),
  );
}

/** In the order of the sort, by an index or by the search index: the planner decides, for these values. */
async function walkProjects(db: Db, query: ProjectListQuery, limit: number): Promise<Row[]> {
  const key = sql`${projects[query.sortBy ?? 'createdAt']}`;
  const id = sql`${projects.id}`;
  return await db
    .select(columnsOf(query))
    .from(projects)
    .where(and(await projectFilters(db, query), beyond(query, key, id)))
    .orderBy(inOrder(query, key, id))
    .limit(limit);
}

/**
 * In the order of creation, by the index of the rarest technology or, of alternatives alone, of each.
 * With filters on the project only so many are looked at: fewer rows than `limit` then say nothing
 * of the rest.
 */
async function walkTechnologies(
  db: Db,
  query: ProjectListQuery,
  limit: number,
  filters?: SQL,
): Promise<Row[]> {
  const { technology = [], anyTechnology = [] } = query;
  const most = filters ? CANDIDATES : limit;
  const walk =
    technology.length > 0
      ? walkOf(query, rarestOf(technology), most)
      : sql`select distinct one.* from unnest(${sql.param(anyTechnology)}::text[]) as named (name)
          cross join lateral (${walkOf(query, sql`named.name`, most)}) as one
          order by ${inOrder(query, sql`created_at`, sql`project_id`)} limit ${most}`;
  return await db
    .select(columnsOf(query))
    .from(projects)
    .innerJoin(sql`(${walk}) as found`, sql`found.project_id = ${projects.id}`)
    .where(filters)
    .orderBy(inOrder(query, sql`found.created_at`, sql`found.project_id`))
    .limit(limit);
}

/** The index of one technology, from the cursor on. */
function walkOf(query: ProjectListQuery, named: SQL, most: number): SQL {
  const where = and(
    sql`technology = ${named}`,
    createdWithin(query, sql`created_at`),
    beyond(query, sql`created_at`, sql`project_id`),
  );
  return sql`select created_at, project_id from project_technologies where ${where}
    order by ${inOrder(query, sql`created_at`, sql`project_id`)} limit ${most}`;
}

/** The technology that the fewest projects use, so that the fewest are passed over. */
function rarestOf(names: string[]): SQL {
  if (names.length === 1) return sql`${names[0]}`;
  return sql`(select name from unnest(${sql.param(names)}::text[]) as named (name)
    left join technology_counts as counts on counts.technology = name order by coalesce(projects, 0) limit 1)`;
}

/** Whether the project found uses at least so many of the technologies. */
function usesOf(names: string[], least: number): SQL {
  return sql`(select count(*) from unnest(${sql.param(names)}::text[]) as named (name)
    join project_technologies as used on used.technology = name
      and used.created_at = found.created_at and used.project_id = found.project_id) >= ${least}`;
}

function updatedWithin({ updatedFrom, updatedTo }: ProjectListQuery): SQL | undefined {
  return and(
    updatedFrom && gte(projects.updatedAt, updatedFrom.toISOString()),
    updatedTo && lt(projects.updatedAt, updatedTo.toISOString()),
  );
}

function createdWithin({ createdFrom, createdTo }: ProjectListQuery, column: SQL): SQL | undefined {
  return and(
    createdFrom && sql`${column} >= ${createdFrom.toISOString()}::timestamptz`,
    createdTo && sql`${column} < ${createdTo.toISOString()}::timestamptz`,
  );
}

/** What comes after the page before. */
function beyond(
  { after, descending = true, sortBy }: ProjectListQuery,
  key: SQL,
  id: SQL,
): SQL | undefined {
  if (!after) return undefined;
  const type = sql.raw(sortBy === 'name' ? 'text' : 'timestamptz');
  const comparison = sql.raw(descending ? '<' : '>');
  return sql`(${key}, ${id}) ${comparison} (${after.key}::${type}, ${after.id}::uuid)`;
}

function inOrder({ descending = true }: ProjectListQuery, key: SQL, id: SQL): SQL {
  const direction = sql.raw(descending ? 'desc' : 'asc');
  return sql`${key} ${direction}, ${id} ${direction}`;
}

/** The fields asked for, and those that make the cursor. */
function columnsOf({ fields, sortBy = 'createdAt' }: ProjectListQuery): typeof PROJECT_COLUMNS {
  return fields
    ? pick(PROJECT_COLUMNS, [...new Set([...fields, sortBy, 'id' as const])])
    : PROJECT_COLUMNS;
}

export function pick<T extends object, K extends keyof T>(from: T, keys: K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>;
}

async function countAll(db: Db, query: ProjectListQuery) {
  const { count: asked = 'none' } = query;
  if (asked === 'none') return {};
  const matching = db
    .select({ total: count() })
    .from(projects)
    .where(await projectFilters(db, query));
  if (asked === 'exact') return { total: (await matching)[0]!.total, totalIsEstimate: false };
  return { total: await estimate(db, matching.getSQL()), totalIsEstimate: true };
}

/** What the planner expects to count, from its statistics. */
async function estimate(db: Db, counting: SQL): Promise<number> {
  const [row] = await db.execute<{ 'QUERY PLAN': unknown }>(sql`explain (format json) ${counting}`);
  const plan = row!['QUERY PLAN'];
  const [{ Plan }] = (typeof plan === 'string' ? JSON.parse(plan) : plan) as [{ Plan: PlanNode }];
  return rowsBelow(Plan);
}

interface PlanNode {
  'Node Type': string;
  'Plan Rows': number;
  Plans?: PlanNode[];
}

/** The rows that go into the aggregates, which are what is counted; workers share those of a parallel plan. */
function rowsBelow(node: PlanNode): number {
  const [below] = node.Plans ?? [];
  return below && ['Aggregate', 'Gather'].includes(node['Node Type'])
    ? rowsBelow(below)
    : node['Plan Rows'];
}
