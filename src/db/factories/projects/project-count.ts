import { count, eq, sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import { projects, technologyCounts } from '../../schema.js';
import { asParameters, projectFilters, type valuesOf } from './project-list-filters.js';
import type { ProjectListQuery } from './project-list-query.js';

/** Counts what a query matches, page and order aside; to be prepared. */
export function prepareCount(db: Db, query: ProjectListQuery) {
  return db.select({ total: count() }).from(projects).where(projectFilters(query)).prepare('count');
}

/** Counts the projects that use a technology, but for what the last writes changed; to be prepared. */
export function prepareUses(db: Db) {
  return db
    .select({ projects: technologyCounts.projects })
    .from(technologyCounts)
    .where(eq(technologyCounts.technology, sql.placeholder('name')))
    .prepare('uses');
}

/** What the planner expects to match, from its statistics. */
export async function estimateCount(
  db: Db,
  query: ProjectListQuery,
  values: ReturnType<typeof valuesOf>,
): Promise<number> {
  const filters = projectFilters(query, asParameters(values));
  // The rows themselves: below a count(*) a plan of several workers tells only what each expects.
  const matching = db
    .select({ one: sql`1` })
    .from(projects)
    .where(filters);
  const [row] = await db.execute<{ 'QUERY PLAN': unknown }>(
    sql`explain (format json) ${matching.getSQL()}`,
  );
  const plan = row!['QUERY PLAN'];
  const [{ Plan }] = (typeof plan === 'string' ? JSON.parse(plan) : plan) as [{ Plan: PlanNode }];
  return Plan['Plan Rows'];
}

interface PlanNode {
  'Plan Rows': number;
}
