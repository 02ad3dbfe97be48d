import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import type { ProjectValues } from '../../src/db/factories/projects/columns.js';
import type { ImportRow } from '../../src/db/entity/row-import.js';
import { Transfers } from '../../src/entities/transfer/transfers.js';
import { ProjectsModule } from '../../src/projects/projects.module.js';
import { aProject } from './builders.js';
import type { TestService } from './service.js';

export const IMPORT = '/api/projects/import';
export const EXPORT = '/api/projects/export';
export const NDJSON = 'application/x-ndjson';
export const CSV = 'text/csv';

/** The transfers of projects. Every entity with files has its own instance, with its own time limits. */
export function transfersOf({ app }: TestService): Transfers {
  return app.select(ProjectsModule).get(Transfers, { strict: true });
}

/** Formats rows as NDJSON; a text is used unchanged. */
export function ndjson(...rows: (string | object)[]): string {
  return rows.map((row) => `${typeof row === 'string' ? row : JSON.stringify(row)}\n`).join('');
}

/** Projects with content that a wrong file format would change. */
export function nastyProjects(): ImportRow<ProjectValues>[] {
  const texts = [
    ...['', ' ', '"', '""', '"a"', 'a,b', ',', 'a\nb', '\n', 'a\r\nb', '\r', '\r\n', 'a\tb', '\t'],
    ...['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', '＝1', "'", "''", "'=1", "''=1"],
    ...[
      "'a",
      "'\t",
      '=cmd|"/c calc"!A1',
      '1',
      'true',
      'null',
      '[]',
      '{}',
      '\\',
      '\\n',
      '\\"',
      '\\u0041',
    ],
    ...[
      'é́',
      '🚀',
      '\ufeff',
      'a\ufeff',
      '\u2028\u2029',
      '\u0001\u001f\u007f',
      '\ufffd',
      '\uffff',
      '‮',
    ],
    ...['x'.repeat(20_000), '🚀'.repeat(20_000), '"'.repeat(20_000), "'=".repeat(10_000)],
  ];
  const moment = (i: number) => new Date(Date.UTC(2020, 0, 1, 0, 0, 0, i * 7)).toISOString();
  return texts.map((text, i) => ({
    ...aProject({
      name: nameOf(text, i),
      description: text,
      technologies: technologiesOf(text, i),
    }),
    id: randomUUID(),
    createdAt: moment(i),
    updatedAt: moment(i * 1000),
    version: i + 1,
  }));
}

function nameOf(text: string, i: number): string {
  return [...text.trim()].slice(0, 255).join('').trim() || `Project ${i}`;
}

function technologiesOf(text: string, i: number): string[] {
  if (i === 0) return [];
  if (i === 1) return Array.from({ length: 100 }, (_, n) => `${n} ${'🚀'.repeat(97)}`);
  const own = [...text.trim()].slice(0, 100).join('').trim();
  return own === '' || own === 'C' ? ['C'] : [own, 'C'];
}

/**
 * Returns the complete content of the table of projects, as COPY writes it, and of the tables that its triggers fill.
 */
export async function tableOf({ database }: TestService): Promise<unknown> {
  return await onDatabase(database.url, async (sql) => {
    const projects = await sql`select p::text as row from projects as p order by id`;
    const uses = await sql`select u::text as row from project_technologies as u order by 1`;
    return [projects.map(({ row }) => row), uses.map(({ row }) => row)];
  });
}

export async function onDatabase<T>(
  url: string,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

/**
 * Inserts projects with descriptions of 19,200 characters. They are not in the search index, because indexing such
 * texts takes five times as long as everything else.
 */
export async function insertLarge(url: string, count: number): Promise<void> {
  await onDatabase(url, async (sql) => {
    await sql`alter table projects alter column search drop expression`;
    await sql`insert into projects (name, description, technologies)
      select 'Project ' || i, repeat(md5(i::text), 600), '[]' from generate_series(1, ${count}::integer) as i`;
  });
}
