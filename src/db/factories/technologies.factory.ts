import { DEFAULT_LIMIT } from '../entity/keyset-list.js';
import { type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { PLANNED_FOR_ITS_VALUES } from '../driver/driver.js';
import { statementCache } from '../query/prepared.js';

export interface TechnologyUse {
  name: string;
  /** How many projects use it; at least one. */
  projects: number;
}

export type TechnologiesFactory = ReturnType<typeof createTechnologiesFactory>;

const PREFIX = sql`${sql.placeholder('prefix')}::text`;
const LIMIT = sql.placeholder('limit');

/** The most notes that one fold adds to the counts. */
export const MOST_NOTES = 10_000;

/** What writers have noted and no fold has added to the counts yet. */
const NOTED = sql`
  select technology, sum(change)::bigint as change
  from technology_changes, unnest(technologies, changes) as noted (technology, change) group by technology`;

/**
 * Every query on technologies, which are what projects name: nobody writes them. A page is read from the
 * index of the counts; what is noted beside them is little (functions/technology_changes_fold.sql).
 */
export function createTechnologiesFactory(db: Db) {
  const cached = statementCache(2);

  /** The technologies in use whose names begin with `prefix`, in any case; the most used first, then by name. */
  async function getTechnologies(prefix = '', limit = DEFAULT_LIMIT): Promise<TechnologyUse[]> {
    if (prefix === '') {
      return await cached('all', () => prepareList(db)).execute({ limit });
    }
    const beginsSo = (name: SQL) =>
      sql`lower(${name}) like lower(${PREFIX}) ${PLANNED_FOR_ITS_VALUES}`;
    const statement = cached('prefix', () => prepareList(db, beginsSo));
    return await statement.execute({ prefix: patternOf(prefix.normalize()), limit });
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

function prepareList(db: Db, filter: (name: SQL) => SQL = () => sql`true`) {
  const used = sql`(
      select technology, projects from technology_counts
      where ${filter(sql`technology`)} and technology not in (select technology from noted)
      order by -projects, technology limit ${LIMIT}
    ) union all (
      select technology, coalesce(projects, 0) + change from noted left join technology_counts using (technology)
      where ${filter(sql`technology`)} and coalesce(projects, 0) + change > 0
    )`;
  return db
    .select({
      name: sql<string>`technology`,
      projects: sql<string>`projects`.mapWith(Number),
    })
    .from(sql`(with noted as materialized (${NOTED}) ${used}) as used`)
    .orderBy(sql`projects desc, technology`)
    .limit(LIMIT)
    .prepare('technologies');
}

/** A pattern of LIKE that matches what begins with the text. */
function patternOf(prefix: string): string {
  return `${prefix.replace(/[\\%_]/g, '\\$&')}%`;
}
