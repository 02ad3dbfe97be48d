import { and, type SQL, sql, type SQLWrapper } from 'drizzle-orm';
import type { PgPreparedQuery, PreparedQueryConfig } from 'drizzle-orm/pg-core';
import type { Db } from '../../connection.js';
import { FITS, isMeasured, measuredRows, PageBytes } from '../../query/page-bytes.js';
import { emptyRows, withTexts } from '../../query/prepared.js';
import { type Project, projects } from '../../schema.js';
import { WRITTEN } from './columns.js';
import { positionOf, projectJson, type ProjectTexts, projectTexts } from './project-json.js';
import { projectFilters } from './project-filters.js';
import { afterCursor, inOrder, PLACEHOLDERS } from './project-list-filters.js';
import type { NormalizedQuery, Position } from './project-list-query.js';

/** A page of projects. */
export class ProjectPage {
  constructor(
    /** The projects as a JSON array, ready for the answer. */
    readonly json: string,
    /** The position after which the next page begins; undefined on the last page. */
    readonly next?: Position,
    readonly total?: number,
    readonly totalIsEstimate?: boolean,
  ) {}

  /** The projects, parsed from the JSON at each access. */
  get projects(): Partial<Project>[] {
    return JSON.parse(this.json) as Partial<Project>[];
  }
}

/** The texts of a row. Facts are null for the last row if it no longer fits into the page. */
export type FoundTexts = ProjectTexts | [facts: null, ...written: string[]];

interface TextsQuery extends SQLWrapper {
  prepare(name: string): PgPreparedQuery<PreparedQueryConfig>;
}

/** Prepares a select of `projectTexts`. For a long page the database sends only the rows that fit into it. */
export function prepareTexts(db: Db, name: string, found: TextsQuery, limit: number) {
  if (!isMeasured(limit)) return withTexts<FoundTexts>(found.prepare(name));
  const measured = db
    .select({
      facts: sql`case when ${FITS} then facts end`,
      ...Object.fromEntries(WRITTEN.map((column) => [column, sql`${sql.identifier(column)}`])),
    })
    .from(sql`${measuredRows(found, WRITTEN)} as page`);
  return withTexts<FoundTexts>(measured.prepare(name));
}

/**
 * Prepares a select of the page in its order. `within` is a further condition. The planner chooses the index at each
 * call, for the values of that call.
 */
export function prepareProjects(db: Db, query: NormalizedQuery, within?: SQL) {
  const key = sql`${projects[query.sortBy]}`;
  const id = sql`${projects.id}`;
  const found = db
    .select(projectTexts(query.fields))
    .from(projects)
    .where(and(projectFilters(query, PLACEHOLDERS), within, afterCursor(query, key, id)))
    .orderBy(inOrder(query, key, id))
    .limit(sql.placeholder('limit'));
  return prepareTexts(db, 'projects', found, query.limit);
}

/** True if the rows fill the page, by number or by size. */
export function isFull(rows: FoundTexts[], limit: number): boolean {
  return rows.length === limit || rows.at(-1)?.[0] === null;
}

/** Builds the page of a query from its rows, with one extra row if there are more. A large page ends early. */
export function pageOf(
  { limit, sortBy, fields }: Pick<NormalizedQuery, 'limit' | 'sortBy' | 'fields'>,
  rows: FoundTexts[],
): ProjectPage {
  const bytes = new PageBytes();
  const items: string[] = [];
  let last: ProjectTexts | undefined;
  for (const texts of rows) {
    if (items.length === limit || !isWhole(texts)) break;
    const json = projectJson(texts, fields);
    if (!bytes.takes(json)) break;
    items.push(json);
    last = texts;
  }
  const next = last && rows.length > items.length ? positionOf(last, sortBy) : undefined;
  emptyRows(rows);
  return new ProjectPage(`[${items.join(',')}]`, next);
}

function isWhole(texts: FoundTexts): texts is ProjectTexts {
  return texts[0] !== null;
}
