import { DEFAULT_LIMIT } from '../entity/keyset-list.js';
import { nfc } from '../entity/normalize-texts.js';
import { type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { statementCache } from '../query/prepared.js';

export interface TechnologyUse {
  name: string;
  /** How many projects use it; at least one. */
  projects: number;
}

export type TechnologiesFactory = ReturnType<typeof createTechnologiesFactory>;

const BEGINNING = sql`${sql.placeholder('beginning')}::text`;
const LIMIT = sql`${sql.placeholder('limit')}::integer`;

/** A name as the list orders and finds it: in any case, and the same under every locale. */
const FOLDED_NAME = sql`lower(technology) collate "C"`;

/** The most notes that one fold adds to the counts. */
export const MOST_NOTES = 10_000;

/** What writers have noted and no fold has added to the counts yet. */
const noted = (filter: SQL) => sql`
  select technology, sum(change)::bigint as change
  from technology_changes, unnest(technologies, changes) as noted (technology, change)
  where ${filter} group by technology`;

/**
 * Every query on technologies, which are what projects name: nobody writes them. A page is read from the
 * index of the counts; what is noted beside them is little (functions/technology_changes_fold.sql).
 */
export function createTechnologiesFactory(db: Db) {
  const cached = statementCache(2);

  /**
   * The technologies in use whose names begin with a text, in any case; the most used first, then by
   * name in any case.
   */
  async function getTechnologies(beginning = '', limit = DEFAULT_LIMIT): Promise<TechnologyUse[]> {
    if (beginning === '') return await cached('all', () => prepareAll(db)).execute({ limit });
    const statement = cached('beginning', () => prepareBeginning(db));
    return await statement.execute({ beginning: nfc(beginning), limit });
  }

  /** Adds what writers have noted to the counts, a part at a time; resolves with how many notes that were. */
  async function foldChanges(): Promise<number> {
    const [row] = await db.execute<{ folded: number }>(
      sql`select fold_technology_changes(${MOST_NOTES}) as folded`,
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

/** Of the counts so many more are read as noted ones may have to be left out. */
function prepareBeginning(db: Db) {
  const counted = sql`
    select technology, projects
    from technologies_beginning(${BEGINNING}, ${LIMIT} + (select count(*) from noted))
    where technology not in (select technology from noted)`;
  return prepareList(db, noted(sql`starts_with(lower(technology), lower(${BEGINNING}))`), counted);
}

/** A count that is noted is taken with what is noted, the others as they are. */
function prepareList(db: Db, noted: SQL, counted: SQL) {
  const changed = sql`
    select technology, coalesce(projects, 0) + change from noted left join technology_counts using (technology)
    where coalesce(projects, 0) + change > 0`;
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
