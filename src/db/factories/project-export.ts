import { type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { ROWS_IN_BYTES } from '../driver.js';
import { projects } from '../schema.js';
import {
  inOrder,
  isSearched,
  literals,
  projectFilters,
  SEARCH_QUERY,
  valuesOf,
} from './project-list-filters.js';
import { PROJECT_COLUMNS, PROJECT_FIELDS, type ProjectListQuery } from './project-list-query.js';

export const EXPORT_FORMATS = ['ndjson', 'csv'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** What selects and orders; the rest of a list's query is about pages. */
export type ExportQuery = Omit<ProjectListQuery, 'limit' | 'after' | 'fields' | 'count'>;

export interface Export {
  query: ExportQuery;
  format: ExportFormat;
  /**
   * Takes the next part of the file, and how many rows there are with it, and resolves when it can
   * take another; to reject ends the export.
   */
  write: (part: Buffer, rows: number) => Promise<void>;
}

/** How much is fetched at once, as far as the rows before can tell; a row has up to half a megabyte. */
const FETCH_BYTES = 200_000;
const MOST_ROWS = 500;
const FIRST_ROWS = 50;

/**
 * Writes all projects that the query selects, as they stand at one moment, and resolves with their
 * number. The database makes the text; no more than two parts of it are held here at any time.
 */
export async function exportProjects(db: Db, { query, format, write }: Export): Promise<number> {
  return await db.transaction(
    async (tx) => {
      const text = { ndjson: NDJSON_LINE, csv: CSV_LINE }[format];
      await tx.execute(sql`declare export no scroll cursor for
        select ${text} as line from (${await selected(tx, query)}) as projects`);
      const head = format === 'csv' ? `${PROJECT_FIELDS.join()}\r\n` : '';
      return await fetchAll(tx, head, write);
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' },
  );
}

/** The statement that reads them, in the order of the sort. */
async function selected(tx: Db, query: ExportQuery): Promise<SQL> {
  const search = isSearched(query) ? await searchOf(tx, query) : undefined;
  const key = sql`${projects[query.sortBy ?? 'createdAt']}`;
  return tx
    .select(PROJECT_COLUMNS)
    .from(projects)
    .where(projectFilters(query, literals(valuesOf(query, search))))
    .orderBy(inOrder(query, key, sql`${projects.id}`))
    .getSQL();
}

async function searchOf(tx: Db, query: ExportQuery): Promise<string> {
  const { q = '', technology = [], anyTechnology = [] } = query;
  const [row] = await tx
    .select({ search: SEARCH_QUERY })
    .from(sql`(values (1)) as once`)
    .prepare('search')
    .execute({ q, technology, anyTechnology });
  return row!.search;
}

/** Nothing is written before the first rows are there, so that what fails at once can still be told. */
async function fetchAll(tx: Db, head: string, write: Export['write']): Promise<number> {
  let written = 0;
  let count = FIRST_ROWS;
  let lines = await fetchLines(tx, count);
  if (lines.length === 0) await write(Buffer.from(head), 0);
  while (lines.length > 0) {
    const part = Buffer.concat(written === 0 ? [Buffer.from(head), ...lines] : lines);
    count = Math.min(MOST_ROWS, 2 * count, Math.ceil(FETCH_BYTES / (part.length / lines.length)));
    written += lines.length;
    // The database makes the next part while the reader takes this one.
    [lines] = await Promise.all([fetchLines(tx, count), write(part, written)]);
  }
  return written;
}

async function fetchLines(tx: Db, count: number): Promise<Buffer[]> {
  const statement = sql`fetch ${sql.raw(String(count))} from export ${ROWS_IN_BYTES}`;
  const rows = (await tx.execute(statement)) as unknown as [line: Buffer][];
  return rows.map(([line]) => line);
}

/**
 * As `api_moment` writes it, in a third of the time: with a microsecond more, all six digits are
 * written, and three of them cut off.
 */
function moment(column: SQL): SQL {
  return sql`left(to_json(${column} + interval '1 microsecond')::text, 24) || 'Z'`;
}

const { id, name, description, technologies, createdAt, updatedAt, version } = projects;

const NDJSON_LINE = sql`'{"id":"' || ${id} || '","name":' || to_json(${name})
  || ',"description":' || to_json(${description}) || ',"technologies":' || ${technologies}
  || ',"createdAt":' || ${moment(sql`${createdAt}`)} || '","updatedAt":' || ${moment(sql`${updatedAt}`)}
  || '","version":' || ${version} || E'}\\n'`;

/** RFC 4180; the text of a client in quotes, whatever it holds. */
const CSV_LINE = sql`${id} || ',"' || ${cell(sql`${name}`)} || '","' || ${cell(sql`${description}`)}
  || '","' || replace(${technologies}::text, '"', '""')
  || '",' || ${moment(sql`${createdAt}`)} || '",' || ${moment(sql`${updatedAt}`)}
  || '",' || ${version} || E'\\r\\n'`;

/**
 * The inside of a quoted cell. What a spreadsheet would run as a formula gets an apostrophe in front
 * (OWASP, CSV injection), and so does what already looks like that: what reads the file takes one
 * off, and has the text that was here (projects/transfer/csv.ts).
 */
function cell(column: SQL): SQL {
  return sql`replace(
    case when ${column} ~ E'^\\'*[=+@\\t\\r\\n\\uFF1D\\uFF0B\\uFF0D\\uFF20-]' then '''' || ${column} else ${column} end, '"', '""')`;
}
