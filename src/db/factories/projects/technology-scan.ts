import { and, type SQL, sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import { projects } from '../../schema.js';
import { candidateFilters, timesWithin } from './project-filters.js';
import { projectTexts } from './project-json.js';
import { afterCursor, inOrder, PLACEHOLDERS } from './project-list-filters.js';
import type { NormalizedQuery } from './project-list-query.js';
import { prepareTexts } from './project-page.js';
import { CANDIDATES } from './project-plan.js';

/** Prepares a scan of the index of one technology, or of each of several alternatives, in the order of creation. */
export function prepareTechnologyScan(db: Db, query: NormalizedQuery) {
  return prepareScan(db, query, technologyScan(query, sql`${PLACEHOLDERS.limit}`));
}

/** Prepares a scan of `CANDIDATES` projects of the rarest technology, which checks the other filters. */
export function prepareCandidateScan(db: Db, query: NormalizedQuery) {
  const scan = technologyScan(query, sql.raw(String(CANDIDATES)));
  return prepareScan(db, query, scan, candidateFilters(query, PLACEHOLDERS));
}

function prepareScan(db: Db, query: NormalizedQuery, scan: SQL, filters?: SQL) {
  const found = db
    .select(projectTexts(query.fields))
    .from(projects)
    .innerJoin(sql`(${scan}) as found`, sql`found.project_id = ${projects.id}`)
    .where(filters)
    .orderBy(inOrder(query, sql`found.created_at`, sql`found.project_id`))
    .limit(sql.placeholder('limit'));
  return prepareTexts(db, 'technologies', found, query.limit);
}

/** Scans the index of one technology, or of each of several alternatives, from the cursor on. */
function technologyScan(query: NormalizedQuery, max: SQL): SQL {
  const { technology } = query;
  if (technology.length > 0) return scanOneTechnology(query, rarestOf(technology), max);
  return sql`select distinct one.* from unnest(${PLACEHOLDERS.anyTechnology}::text[]) as named (name)
    cross join lateral (${scanOneTechnology(query, sql`named.name`, max)}) as one
    order by ${inOrder(query, sql`created_at`, sql`project_id`)} limit ${max}`;
}

function scanOneTechnology(query: NormalizedQuery, named: SQL, max: SQL): SQL {
  const where = and(
    sql`technology = ${named}`,
    ...timesWithin(query, 'createdAt', sql`created_at`, PLACEHOLDERS),
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
