import { type SQL, sql } from 'drizzle-orm';
import { momentOf } from '../../driver/text-format.js';
import { type Project, projects } from '../../schema.js';
import { kindOf, LARGE, type ProjectValues, WRITTEN } from './columns.js';

/**
 * The texts of a project from PostgreSQL, in few columns, because each column makes reading a row more
 * expensive. `facts` joins the columns that contain no comma; the columns that clients write follow.
 */
export type ProjectTexts = [facts: string, ...written: string[]];

type Fields = (keyof Project)[] | undefined;

/** Returns the columns of the select, without large texts that are not among the requested fields. */
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

/** Returns the large texts that are read. Nothing else in the statement depends on the fields. */
export function largeTextsRead(fields: Fields): string {
  return LARGE.filter((name) => isRead(name, fields)).join();
}

function isRead(name: keyof ProjectValues, fields: Fields): boolean {
  return !fields || fields.includes(name) || !LARGE.includes(name);
}

const PARTS = WRITTEN.map((name) => ({ key: `,"${name}":`, toJson: kindOf(name).toJson }));

/**
 * Returns the project as JSON for the answer. It is built directly from PostgreSQL's texts, without parsing
 * the list of technologies: parsing values only to serialize them again would be most of the cost of a list
 * (docs/performance.md, "Rows").
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

/** Returns the id and the sort key of a project. */
export function positionOf(
  texts: ProjectTexts,
  sortBy: 'createdAt' | 'updatedAt' | 'name',
): { key: string; id: string } {
  const facts = factsOf(texts);
  const key = sortBy === 'name' ? texts[1 + WRITTEN.indexOf('name')]! : momentOf(facts[sortBy]);
  return { key, id: facts.id };
}
