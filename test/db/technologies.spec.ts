import { sql as drizzle } from 'drizzle-orm';
import type { TransactionSql } from 'postgres';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { importRows } from '../../src/db/entity/row-import.js';
import { PROJECT } from '../../src/db/factories/projects/columns.js';
import { createTechnologiesFactory } from '../../src/db/factories/technologies.factory.js';
import { inTransaction } from '../../src/db/transaction.js';
import {
  connect,
  connectPlainly,
  endEachTest,
  until,
  waitingForLocks,
} from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeAll(async () => (database = await createTestDatabase()));
afterAll(() => database.drop());
beforeEach(async () => await connectPlainly(database.url)`truncate projects`);

endEachTest();

const PROJECTS = 12_000;
const DISTINCT = 10_000;

it('an import of very many technologies leaves few notes and correct counts', async () => {
  const { db } = connect({ url: database.url });
  const rows = Array.from({ length: PROJECTS }, (_, i) => ({
    name: `n${i}`,
    description: '',
    technologies: ['Common', `T${i % DISTINCT}`],
  }));
  await inTransaction(db, async (tx) => {
    for (let from = 0; from < rows.length; from += 1000)
      await importRows(tx, PROJECT, rows.slice(from, from + 1000));
  });
  const sql = connectPlainly(database.url);
  const [{ notes }] = await sql<[{ notes: number }]>`
    select coalesce(sum(entries), 0)::integer as notes from technology_changes`;
  expect(notes).toBeLessThanOrEqual(1000);
  const technologies = createTechnologiesFactory(db);
  expect(await technologies.getTechnologies('', 3)).toEqual([
    { name: 'Common', projects: PROJECTS },
    { name: 'T0', projects: 2 },
    { name: 'T1', projects: 2 },
  ]);
  expect(await technologies.getTechnologies('t999', 2)).toEqual([
    { name: 'T999', projects: 2 },
    { name: 'T9990', projects: 1 },
  ]);
});

describe('a page of technologies', () => {
  /** Half of the names begin with `T`, and none of these is among the most used ones. */
  const NAMES = `
    select 'T' || i as name, 1 as uses from generate_series(1, 20000) as i
    union all select 't' || i || 'Ä', 1 + i % 9 from generate_series(1, 1000) as i
    union all select 'm%_' || i, 100 + i % 50 from generate_series(1, 2000) as i
    union all select 'Used' || i, 1000 + i from generate_series(1, 20000) as i`;

  let sql: ReturnType<typeof connectPlainly>;
  beforeEach(async () => {
    sql = connectPlainly(database.url);
    await sql.unsafe(`insert into technology_counts ${NAMES}`);
  });

  const BEGINNINGS = [
    '',
    't',
    'T1',
    't4',
    'm%',
    'M%_19',
    'm_',
    'used',
    'Used19',
    't77ä',
    'none',
    '\\',
  ];

  it.each(BEGINNINGS)(
    'that begin with %j contains the correct ones in order',
    async (beginning) => {
      const expected = await sql`
      select technology as name, projects::integer from technology_counts
      where starts_with(lower(technology), lower(${beginning}))
      order by projects desc, lower(technology) collate "C", technology limit 200`;
      const { getTechnologies } = createTechnologiesFactory(connect({ url: database.url }).db);
      for (const limit of [1, 20, 200])
        expect(await getTechnologies(beginning, limit)).toEqual(expected.slice(0, limit));
    },
  );

  it.each(['never', 'before'])(
    'reads a small part of the counts, analyzed %s',
    async (analyzed) => {
      if (analyzed === 'before') await sql`analyze technology_counts`;
      await sql`
      insert into technology_changes (technologies, changes, entries)
      values (array['["T1", "New"]', '["used1"]']::jsonb[], array[1, -1], 3)`;
      for (const beginning of BEGINNINGS) expect(await rowsReadFor(beginning)).toBeLessThan(1000);
      // This checks the counter itself: 20 technologies have the same count, after up to 201 with the same number of
      // digits.
      expect(await rowsReadFor('t4')).toBeGreaterThanOrEqual(20);
    },
  );

  async function rowsReadFor(beginning: string): Promise<number> {
    const { db } = connect({ url: database.url });
    return await inTransaction(db, async (tx) => {
      const read = async () => {
        const [row] = await tx.execute<{ read: number }>(drizzle`
          select (coalesce(sum(seq_tup_read), 0) + coalesce(sum(idx_tup_fetch), 0))::integer as read
          from pg_stat_xact_user_tables where relname = 'technology_counts'`);
        return row!.read;
      };
      // The server includes the session's earlier reads until it has reported them.
      const before = await read();
      await createTechnologiesFactory(tx).getTechnologies(beginning, 20);
      return (await read()) - before;
    });
  }
});

it('writes of many technologies fold as often as their number requires', async () => {
  const { db } = connect({ url: database.url });
  const projects = createProjectsFactory(db);
  for (let i = 0; i < 199; i++) {
    const technologies = Array.from({ length: 100 }, (_, n) => `W${i}-${n}`);
    await projects.createProject({ name: `n${i}`, description: '', technologies });
  }
  const [{ noted }] = await connectPlainly(database.url)<[{ noted: number }]>`
    select coalesce(sum(entries), 0)::integer as noted from technology_changes`;
  expect(noted).toBeLessThanOrEqual(1000);
  const { getTechnologies } = createTechnologiesFactory(db);
  expect(await getTechnologies('w198-', 200)).toHaveLength(100);
});

it('single writes fold after some notes, and a fold never lets a write in another isolation level fail', async () => {
  const { db } = connect({ url: database.url });
  const sql = connectPlainly(database.url);
  const projects = createProjectsFactory(db);
  for (let i = 0; i < 210; i++)
    await projects.createProject({ name: `n${i}`, description: '', technologies: ['A', `B${i}`] });
  expect((await sql`select from technology_changes`).length).toBeLessThan(200);

  for (const level of ['repeatable read', 'serializable']) {
    await sql.begin(`isolation level ${level}`, async (tx) => {
      await tx`select count(*) from technology_changes`;
      await connectPlainly(database.url)`select fold_technology_changes()`;
      await tx`
        insert into projects (name, description, technologies)
        select 'm' || i, '', jsonb_build_array('A', i::text) from generate_series(1, 300) as i`;
    });
  }
  const technologies = createTechnologiesFactory(db);
  expect(await technologies.getTechnologies('a')).toEqual([{ name: 'A', projects: 810 }]);
  while ((await technologies.foldChanges()) > 0);
  expect(await technologies.getTechnologies('a')).toEqual([{ name: 'A', projects: 810 }]);
  expect(await sql`select from technology_changes`).toHaveLength(0);
});

it('a truncate waits for a fold and does not end in a deadlock with it', async () => {
  const [folding, truncating, observer] = [0, 1, 2].map(() => connectPlainly(database.url));
  await folding!`begin`;
  await folding!`lock table technology_changes in row exclusive mode`; // a fold locks this table first
  const truncated = truncating!`truncate projects`.then(() => 'truncated');
  truncated.catch(() => undefined);
  await until(async () => (await waitingForLocks(observer!)).length === 1);
  await folding!`select fold_technology_changes()`;
  await folding!`commit`;
  expect(await truncated).toBe('truncated');
});

/** Runs `check` in a transaction that is rolled back: it folds nothing and leaves no trigger. */
async function rolledBack(check: (tx: TransactionSql) => Promise<void>): Promise<void> {
  const end = new Error('The transaction is rolled back.');
  const run = connectPlainly(database.url).begin(async (tx) => {
    await check(tx);
    throw end;
  });
  await expect(run).rejects.toBe(end);
}

/** Updates the only project and returns the notes of that update. */
async function notesOf(tx: TransactionSql, assignments: string) {
  await tx`delete from technology_changes`;
  await tx.unsafe(`update projects set ${assignments}`);
  return await tx`select technologies::text[] as lists, changes, names, entries from technology_changes`;
}

it('an update leaves one note of what it changed, and an update of the description leaves none', async () => {
  await rolledBack(async (tx) => {
    await tx`insert into projects (name, description, technologies) values ('Old', '', '["A"]')`;
    expect(await notesOf(tx, `description = 'new', name = name`)).toEqual([]);
    expect(await notesOf(tx, `name = 'New'`)).toEqual([
      { lists: [], changes: [], names: ['New'], entries: 1 },
    ]);
    const lists = ['["A"]', '["A", "B"]'];
    expect(await notesOf(tx, `technologies = '["A", "B"]'`)).toEqual([
      { lists, changes: [-1, 1], names: [], entries: 3 },
    ]);
    expect(await notesOf(tx, `technologies = '["A"]', name = 'Both'`)).toEqual([
      { lists: lists.toReversed(), changes: [-1, 1], names: ['Both'], entries: 4 },
    ]);
  });
});

it('the lists follow technologies that a trigger of the host changes', async () => {
  await rolledBack(async (tx) => {
    await tx`insert into projects (name, description, technologies) values ('Own', '', '["A"]')`;
    await tx`
      create function add_technology() returns trigger language plpgsql as
      'begin new.technologies := ''["C"]''; return new; end'`;
    await tx`
      create trigger add_technology before update on projects for each row execute function add_technology()`;
    expect(await notesOf(tx, `description = 'new'`)).toMatchObject([{ lists: ['["A"]', '["C"]'] }]);
    expect(await tx`select technology from project_technologies`).toEqual([{ technology: 'C' }]);
  });
});

it('a fold adds each word of each name once, and an insert of no rows leaves no note', async () => {
  const sql = connectPlainly(database.url);
  await sql`insert into projects (name, description, technologies) select 'None', '', '[]' where false`;
  expect(await sql`select from technology_changes`).toHaveLength(0);
  const names = ['Alpha', 'Bêta gamma', 'alpha-delta', 'Ж1'.padEnd(200, 'ж'), 'omega'];
  for (const name of names)
    await sql`insert into projects (name, description, technologies) values (${name}, '', '["A"]')`;
  await sql`
    insert into projects (name, description, technologies)
    select 'Many ' || translate(i::text, '0123456789', 'abcdefghij') || 'word', '', '["A", "B"]'
    from generate_series(100, 349) as i`;
  while ((await sql`select fold_technology_changes() as folded`)[0]!.folded > 0);
  const words =
    await sql`select word from name_words where word !~ '^[a-j]{3}word$' order by word collate "C"`;
  expect(words.map(({ word }) => word as string)).toEqual([
    'alpha',
    'beta',
    'delta',
    'gamma',
    'many',
    'omega',
  ]);
  expect(await sql`select from name_words where word ~ '^[a-j]{3}word$'`).toHaveLength(250);
  expect(
    await sql`select technology, projects::integer from technology_counts order by technology`,
  ).toEqual([
    { technology: 'A', projects: 255 },
    { technology: 'B', projects: 250 },
  ]);
});

it.each([
  '{}',
  '"text"',
  'null',
  '1',
  '[1]',
  '["a", null]',
  '["a", ["b"]]',
  JSON.stringify(Array.from({ length: 101 }, (_, i) => `t${i}`)),
])('the table refuses technologies that are no list of up to 100 texts (case %#)', async (list) => {
  const sql = connectPlainly(database.url);
  await expect(
    sql`insert into projects (name, description, technologies) values ('n', '', ${list}::text::jsonb)`,
  ).rejects.toMatchObject({ code: '23514', constraint_name: 'projects_technologies_check' });
});
