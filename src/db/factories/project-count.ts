import { count, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { projects } from '../schema.js';
import { literals, projectFilters, type valuesOf } from './project-list-filters.js';
import type { ProjectListQuery } from './project-list-query.js';

/** Counts what a query matches, page and order aside; to be prepared. */
export function prepareCount(db: Db, query: ProjectListQuery) {
  return db.select({ total: count() }).from(projects).where(projectFilters(query)).prepare('count');
}

/** What the planner expects to count, from its statistics. */
export async function estimateCount(
  db: Db,
  query: ProjectListQuery,
  values: ReturnType<typeof valuesOf>,
): Promise<number> {
  const filters = projectFilters(query, literals(values));
  const counting = db.select({ total: count() }).from(projects).where(filters);
  const [row] = await db.execute<{ 'QUERY PLAN': unknown }>(
    sql`explain (format json) ${counting.getSQL()}`,
  );
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
