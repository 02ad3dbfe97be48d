import { DEFAULT_LIMIT } from '../../entity/keyset-list.js';
import { sql, type SQLWrapper } from 'drizzle-orm';
import type { PgPreparedQuery, PreparedQueryConfig } from 'drizzle-orm/pg-core';
import type { Db } from '../../connection.js';
import { FITS, isMeasured, measuredRows, PageBytes } from '../../query/page-bytes.js';
import { emptyRows, withTexts } from '../../query/prepared.js';
import type { Project } from '../../schema.js';
import { WRITTEN } from './columns.js';
import { positionOf, projectJson, type ProjectTexts } from './project-json.js';
import type { Position, ProjectListQuery } from './project-list-query.js';

/** A page of projects. */
export class ProjectPage {
  constructor(
    /** The projects as a JSON array, as they are answered. */
    readonly json: string,
    /** Where the next page begins; undefined on the last. */
    readonly next?: Position,
    readonly total?: number,
    readonly totalIsEstimate?: boolean,
  ) {}

  /** The projects, read from the JSON. */
  get projects(): Partial<Project>[] {
    return JSON.parse(this.json) as Partial<Project>[];
  }
}

/** Without facts: the first project that no longer fits in the page, which is the last one read. */
export type FoundTexts = ProjectTexts | [facts: null, ...written: string[]];

interface TextsQuery extends SQLWrapper {
  prepare(name: string): PgPreparedQuery<PreparedQueryConfig>;
}

/** Prepares a select of `projectTexts`. Of a long page the database sends no more than fits in it. */
export function prepareTexts(db: Db, name: string, found: TextsQuery, limit = DEFAULT_LIMIT) {
  if (!isMeasured(limit)) return withTexts<FoundTexts>(found.prepare(name));
  const measured = db
    .select({
      facts: sql`case when ${FITS} then facts end`,
      ...Object.fromEntries(WRITTEN.map((column) => [column, sql`${sql.identifier(column)}`])),
    })
    .from(sql`${measuredRows(found, WRITTEN)} as page`);
  return withTexts<FoundTexts>(measured.prepare(name));
}

/** Whether the rows are all that the page has room for. */
export function isFull(rows: FoundTexts[], limit: number): boolean {
  return rows.length === limit || rows.at(-1)?.[0] === null;
}

/** The page of a query, from its rows and one more if there are more. Ends early where it is large enough. */
export function pageOf(query: ProjectListQuery, rows: FoundTexts[]): ProjectPage {
  const { limit = DEFAULT_LIMIT, sortBy = 'createdAt', fields } = query;
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
