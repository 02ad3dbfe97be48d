import { sql } from 'drizzle-orm';
import { type Project, projects } from '../../schema.js';
import { momentOf } from '../../driver/text-format.js';

/**
 * A project as PostgreSQL writes it, in few columns, which are what reading a row costs; in `facts`
 * is what holds no comma.
 */
export type ProjectTexts = [facts: string, technologies: string, name: string, description: string];

/** What selects them; without the description if it is not among the fields asked for. */
export function projectTexts(fields?: (keyof Project)[]) {
  return {
    facts: sql`concat_ws(',', ${projects.id}, ${projects.version}, ${projects.createdAt}, ${projects.updatedAt})`,
    technologies: sql`${projects.technologies}::text`,
    name: projects.name,
    description: readsDescription(fields) ? projects.description : sql`''`,
  };
}

/** Whether it is among the fields asked for. Nothing else of the statement depends on them. */
export function readsDescription(fields?: (keyof Project)[]): boolean {
  return !fields || fields.includes('description');
}

/**
 * The project as JSON, as it is answered. Written straight from PostgreSQL's text, the list of
 * technologies as it stands: to make values of it, only to write them as text again, is most of what
 * a list costs (docs/performance.md, "Rows").
 */
export function projectJson(texts: ProjectTexts, fields?: (keyof Project)[]): string {
  const [facts, technologies, name, description] = texts;
  const [id, version, createdAt, updatedAt] = facts.split(',') as [string, string, string, string];
  const json = `{"id":"${id}","name":${JSON.stringify(name)},"description":${JSON.stringify(description)},"technologies":${technologies},"createdAt":"${momentOf(createdAt)}","updatedAt":"${momentOf(updatedAt)}","version":${version}}`;
  return fields ? JSON.stringify(JSON.parse(json), fields) : json;
}

/** Its id, and what it is sorted by. */
export function positionOf(
  [facts, , name]: ProjectTexts,
  sortBy: 'createdAt' | 'updatedAt' | 'name',
): { key: string; id: string } {
  const [id, , createdAt, updatedAt] = facts.split(',') as [string, string, string, string];
  return {
    key: sortBy === 'name' ? name : momentOf(sortBy === 'createdAt' ? createdAt : updatedAt),
    id,
  };
}
