import { readdir, readFile } from 'node:fs/promises';
import { getTableColumns, getTableName, is, sql } from 'drizzle-orm';
import { check, pgTable, PgTable, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core';
import { diagramSource, drawDiagram } from '../../src/cli/diagram.js';
import { DERIVATIONS, TABLE_GROUPS } from '../../src/db/derivations.js';
import { describeSchema } from '../../src/db/describe-schema.js';
import * as schema from '../../src/db/schema.js';

const CHECKED_IN = new URL('../../docs/assets/database-diagram.png', import.meta.url);

const FUNCTIONS = new URL('../../src/db/functions/', import.meta.url);

const notes = pgTable(
  'notes',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    projectId: uuid('project_id')
      .notNull()
      .references(() => schema.projects.id, { onDelete: 'cascade' }),
    title: text('title').default(`"it's" <b>`),
    folded: text('folded').generatedAlwaysAs(sql`lower(title)`),
  },
  (table) => [
    uniqueIndex('notes_title_index').on(table.projectId, table.title.desc()),
    check('notes_title_check', sql`${table.title} <> ''`),
  ],
);

describe('the database diagram', () => {
  it('in the repository is equal to the one that the schema draws', async () => {
    const [checkedIn, drawn] = await Promise.all([readFile(CHECKED_IN), drawDiagram()]);
    expect(checkedIn.equals(drawn) ? 'current' : 'stale: run npm run db:diagram').toBe('current');
  });

  it('shows every table of the schema with every column', () => {
    const source = diagramSource(describeSchema(schema));
    const tables = Object.values<unknown>(schema).filter((value) => is(value, PgTable));
    expect(tables).toContain(schema.projects);
    for (const table of tables) {
      const card = source.split('\n"').find((node) => node.includes(`> ${getTableName(table)}<`));
      for (const { name } of Object.values(getTableColumns(table)))
        expect(card).toContain(`>${name} `);
    }
  });

  it('describes keys, defaults, indexes, checks and references as SQL', () => {
    expect(describeSchema({ notes, somethingElse: 1 })).toEqual([
      {
        name: 'notes',
        columns: [
          { name: 'id', type: 'uuid', notNull: true, filledBy: 'default gen_random_uuid()' },
          { name: 'project_id', type: 'uuid', notNull: true },
          { name: 'title', type: 'text', notNull: false, filledBy: `default '"it''s" <b>'` },
          {
            name: 'folded',
            type: 'text',
            notNull: false,
            filledBy: 'generated always as (lower(title))',
          },
        ],
        primaryKey: ['id'],
        indexes: [
          { name: 'notes_title_index', sql: 'unique btree (project_id, title desc nulls last)' },
        ],
        uniques: [],
        checks: [{ name: 'notes_title_check', sql: "title <> ''" }],
        references: [
          {
            name: 'notes_project_id_projects_id_fk',
            sql: '(project_id) references projects (id) on delete cascade',
            columns: ['project_id'],
            table: 'projects',
            foreignColumns: ['id'],
          },
        ],
      },
    ]);
  });

  it('frames each table once, and draws an arrow for each derived table', () => {
    const tables = Object.values<unknown>(schema).filter((value) => is(value, PgTable));
    const grouped = Object.values(TABLE_GROUPS).flat().map(getTableName);
    // The guide's table needs no frame.
    const named = tables.map(getTableName).filter((name) => name !== 'skills');
    expect(grouped.sort()).toEqual(named.sort());
    const source = diagramSource(describeSchema(schema));
    for (const title of Object.keys(TABLE_GROUPS)) expect(source).toContain(`>${title}<`);
    for (const { from, to, by } of DERIVATIONS) {
      const arrow = `"${getTableName(from)}" -> "${getTableName(to)}"`;
      const [, label] = source.split(arrow);
      for (const name of by) expect(label!.split('\n', 1)[0]).toContain(name);
    }
  });

  it('names exactly the SQL functions that fill one table from another', async () => {
    const said = DERIVATIONS.flatMap(({ to, by }) =>
      by.filter((name) => !name.endsWith('.ts')).map((name) => `${getTableName(to)} by ${name}`),
    );
    const found: string[] = [];
    for (const file of await readdir(FUNCTIONS)) {
      if (!file.endsWith('.sql') || file === 'settings.sql') continue; // this entry has a row without a source
      const sql = await readFile(new URL(file, FUNCTIONS), 'utf8');
      for (const [, table] of sql.matchAll(/INSERT INTO (?:\[own\]\.)?(\w+)/g))
        found.push(`${table} by ${file.replace('.sql', '')}`);
    }
    expect(said.sort()).toEqual([...new Set(found)].sort());
  });

  it('joins two tables by their foreign key and draws the key', async () => {
    const described = describeSchema({ ...schema, notes });
    expect(diagramSource(described)).toContain(
      '"notes":"from project_id":e -> "projects":"to id":w',
    );
    const [alone, joined] = [await drawDiagram(), await drawDiagram(described)];
    expect(joined.equals(alone)).toBe(false);
  });
});
