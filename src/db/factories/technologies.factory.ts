import { sql } from 'drizzle-orm';
import type { Db } from '../connection.js';

export interface TechnologyUse {
  name: string;
  /** How many projects use it; at least one. */
  projects: number;
}

export type TechnologiesFactory = ReturnType<typeof createTechnologiesFactory>;

/** Every query on technologies, which are what projects name: nobody writes them. */
export function createTechnologiesFactory(db: Db) {
  /** The technologies in use whose names begin so, in any case; the most used first, then by name. */
  async function getTechnologies(prefix = '', limit = 50): Promise<TechnologyUse[]> {
    const rows = await db.execute<{ name: string; projects: string }>(sql`
      select technology as name, sum(projects) as projects
      from (
        select technology, projects from technology_counts
        union all select technology, change from technology_changes
      ) as used
      where starts_with(lower(technology), lower(${prefix}))
      group by technology having sum(projects) > 0
      order by sum(projects) desc, technology limit ${limit}`);
    return rows.map(({ name, projects }) => ({ name, projects: Number(projects) }));
  }

  return { getTechnologies };
}
