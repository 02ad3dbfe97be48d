import { type SQL, sql } from 'drizzle-orm';
import { momentOf } from '../../driver/text-format.js';
import { type Project, projects } from '../../schema.js';
import { kindOf, LARGE, type ProjectValues, WRITTEN } from './columns.js';

/**
 * A project as PostgreSQL writes it, in few columns, which are what reading a row costs: `facts` has
 * the columns that hold no comma, then come those that clients write.
 */
export type ProjectTexts = [facts: string, ...written: string[]];

type Fields = (keyof Project)[] | undefined;

/** What selects the texts; without the large ones that are not among the fields asked for. */
export function projectTexts(fields: Fields): Record<string, SQL.Aliased> {
  const written = WRITTEN.map((name): [string, SQL.Aliased] => [
    name,
    (isRead(name, fields) ? kindOf(name).text(projects[name]) : sql`''`).as(name),
  ]);
  return {
    facts:
      sql`concat_ws(',', ${projects.id}, ${projects.version}, ${projects.createdAt}, ${projects.updatedAt})`.as(
        'facts',
      ),
    ...Object.fromEntries(written),
  };
}

/** Which large texts are read. Nothing else of the statement depends on the fields. */
export function largeTextsRead(fields: Fields): string {
  return LARGE.filter((name) => isRead(name, fields)).join();
}

function isRead(name: keyof ProjectValues, fields: Fields): boolean {
  return !fields || fields.includes(name) || !LARGE.includes(name);
}

const PARTS = WRITTEN.map((name) => ({ key: `,"${name}":`, toJson: kindOf(name).toJson }));

/**
 * The project as JSON, as it is answered. Written straight from PostgreSQL's text, the list of
 * technologies as it stands: to make values of it, only to write them as text again, is most of what
 * a list costs (docs/performance.md, "Rows").
 */
export function projectJson(texts: ProjectTexts, fields?: (keyof Project)[]): string {
  const { id, version, createdAt, updatedAt } = factsOf(texts);
  let json = `{"id":"${id}"`;
  for (let i = 0; i < PARTS.length; i++) json += PARTS[i]!.key + PARTS[i]!.toJson(texts[i + 1]!);
  json += `,"createdAt":"${momentOf(createdAt)}","updatedAt":"${momentOf(updatedAt)}","version":${version}}`;
  return fields ? JSON.stringify(JSON.parse(json), fields) : json;
}

function factsOf([facts]: ProjectTexts) {
  const [id, version, createdAt, updatedAt] = facts.split(',') as [string, string, string, string];
  return { id, version, createdAt, updatedAt };
}

/** Its id, and what it is sorted by. */
export function positionOf(
  texts: ProjectTexts,
  sortBy: 'createdAt' | 'updatedAt' | 'name',
): { key: string; id: string } {
  const facts = factsOf(texts);
  const key = sortBy === 'name' ? texts[1 + WRITTEN.indexOf('name')]! : momentOf(facts[sortBy]);
  return { key, id: facts.id };
}
