import { DEFAULT_LIMIT } from '../entity/keyset-list.js';
import { nfc } from '../entity/normalize-texts.js';
import { type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { statementCache } from '../query/prepared.js';
import { shareReads } from '../query/shared-reads.js';

interface TechnologiesQuery {
  beginning: string;
  limit: number;
}

export interface TechnologyUse {
  name: string;
  /** The number of projects that use it; at least one. */
  projects: number;
}

export type TechnologiesFactory = ReturnType<typeof createTechnologiesFactory>;

const BEGINNING = sql`${sql.placeholder('beginning')}::text`;
const LIMIT = sql`${sql.placeholder('limit')}::integer`;

/** The name in lower case, for sorting and searching, independent of the locale. */
const FOLDED_NAME = sql`lower(technology) collate "C"`;

/** The maximum number of noted changes that one fold adds to the counts. */
export const MAX_NOTES = 10_000;

/** The changes that writers have noted and that no fold has added to the counts yet. */
const noted = (filter: SQL) => sql`
  select technology, sum(change)::bigint as change
  from technology_changes, unnest(technologies, changes) as noted (list, change),
    jsonb_array_elements_text(list) as technology
  where ${filter} group by technology`;

/**
 * All queries on technologies. Technologies are derived from the projects; nobody writes them directly. A
 * page is read from the index of the counts, combined with the few changes that are noted but not folded in
 * yet (functions/technology_changes_fold.sql).
 */
export function createTechnologiesFactory(db: Db) {
  const cached = statementCache(2);
  const readShared = shareReads(readTechnologies);

  /**
   * Returns the technologies in use whose names begin with a text: the most used first, equal ones by name.
   * Upper and lower case do not matter. Concurrent callers share a read; each gets its own list.
   */
  async function getTechnologies(beginning = '', limit = DEFAULT_LIMIT): Promise<TechnologyUse[]> {
    return (await readShared({ beginning, limit })).map((use) => ({ ...use }));
  }

  async function readTechnologies({ beginning, limit }: TechnologiesQuery) {
    if (beginning === '') return await cached('all', () => prepareAll(db)).execute({ limit });
    const statement = cached('beginning', () => prepareBeginning(db));
    return await statement.execute({ beginning: nfc(beginning), limit });
  }

  /** Adds up to `MAX_NOTES` noted changes to the counts; resolves with their number. */
  async function foldChanges(): Promise<number> {
    const [row] = await db.execute<{ folded: number }>(
      sql`select fold_technology_changes(${MAX_NOTES}) as folded`,
    );
    return row!.folded;
  }

  return { getTechnologies, foldChanges };
}

function prepareAll(db: Db) {
  const counted = sql`
    select technology, projects from technology_counts where technology not in (select technology from noted)
    order by -projects, ${FOLDED_NAME}, technology limit ${LIMIT}`;
  return prepareList(db, noted(sql`true`), counted);
}

/** Reads as many additional counts as there are noted technologies, because those are left out. */
function prepareBeginning(db: Db) {
  const counted = sql`
    select technology, projects
    from technologies_beginning(${BEGINNING}, ${LIMIT} + (select count(*) from noted))
    where technology not in (select technology from noted)`;
  return prepareList(db, noted(sql`starts_with(lower(technology), lower(${BEGINNING}))`), counted);
}

/**
 * Combines the counts with the noted changes: technologies without a note keep their count. The count of a noted one
 * is a subquery, not a join, so that it is looked up by index however many notes the planner expects.
 */
function prepareList(db: Db, noted: SQL, counted: SQL) {
  const changed = sql`
    select technology, projects from (
      select technology, change + coalesce(
        (select projects from technology_counts as counts where counts.technology = noted.technology), 0) as projects
      from noted
    ) as changed where projects > 0`;
  return db
    .select({
      name: sql<string>`technology`,
      projects: sql<string>`projects`.mapWith(Number),
    })
    .from(sql`(with noted as materialized (${noted}) (${counted}) union all (${changed})) as used`)
    .orderBy(sql`-projects, ${FOLDED_NAME}, technology`)
    .limit(sql.placeholder('limit'))
    .prepare('technologies');
}
