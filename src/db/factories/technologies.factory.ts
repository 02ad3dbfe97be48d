import { sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { keptStatements } from '../query/prepared.js';

export interface TechnologyUse {
  name: string;
  /** How many projects use it; at least one. */
  projects: number;
}

export type TechnologiesFactory = ReturnType<typeof createTechnologiesFactory>;

const NAME = sql<string>`technology`;
/** What was counted, and what writers have noted since. */
const USES = sql<string>`(coalesce(projects, 0) + coalesce(change, 0))`;
const COUNTED = sql`technology_counts full join (
  select technology, sum(change)::bigint as change from technology_changes group by technology
) as noted using (technology)`;

/** Every query on technologies, which are what projects name: nobody writes them. */
export function createTechnologiesFactory(db: Db) {
  const kept = keptStatements(1);

  const prepareList = () => {
    const prefix = sql`${sql.placeholder('prefix')}::text`;
    return db
      .select({ name: NAME, projects: USES.mapWith(Number) })
      .from(COUNTED)
      .where(
        sql`${USES} > 0 and (${prefix} = '' or starts_with(lower(technology), lower(${prefix})))`,
      )
      .orderBy(sql`${USES} desc, technology`)
      .limit(sql.placeholder('limit'))
      .prepare('technologies');
  };

  /** The technologies in use whose names begin so, in any case; the most used first, then by name. */
  async function getTechnologies(prefix = '', limit = 50): Promise<TechnologyUse[]> {
    return await kept('list', prepareList).execute({ prefix, limit });
  }

  return { getTechnologies };
}
