import { count, eq, sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import { projects, technologyCounts } from '../../schema.js';
import { projectFilters } from './project-filters.js';
import { asParameters, PLACEHOLDERS, type valuesOf } from './project-list-filters.js';
import type { NormalizedQuery } from './project-list-query.js';

/** Prepares a statement that counts the matches of a query's filters. */
export function prepareCount(db: Db, query: NormalizedQuery) {
  return db
    .select({ total: count() })
    .from(projects)
    .where(projectFilters(query, PLACEHOLDERS))
    .prepare('count');
}

/** Prepares a statement that reads the number of projects of a technology, without the latest writes. */
export function prepareUses(db: Db) {
  return db
    .select({ projects: technologyCounts.projects })
    .from(technologyCounts)
    .where(eq(technologyCounts.technology, sql.placeholder('name')))
    .prepare('uses');
}

/** Returns the planner's estimate of the matches, from its statistics. */
export async function estimateCount(
  db: Db,
  query: NormalizedQuery,
  values: ReturnType<typeof valuesOf>,
): Promise<number> {
  const filters = projectFilters(query, asParameters(values));
  // Explain the rows, not a count(*): in a parallel plan of that the estimate is per worker.
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
