import { sql as drizzle } from 'drizzle-orm';
import { createProjectsFactory } from '../src/db/factories/projects/projects.factory.js';
import { importRows } from '../src/db/factories/projects/project-import.js';
import { createTechnologiesFactory } from '../src/db/factories/technologies.factory.js';
import { inTransaction } from '../src/db/transaction.js';
import { connect, connectPlainly, endEachTest } from './support/connections.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';

let database: TestDatabase;
beforeAll(async () => (database = await createTestDatabase()));
afterAll(() => database.drop());
beforeEach(async () => await connectPlainly(database.url)`truncate projects`);

endEachTest();

const PROJECTS = 12_000;
const DISTINCT = 10_000;

it('an import of very many technologies leaves few notes, and the counts are right', async () => {
  const { db } = connect({ url: database.url });
  const rows = Array.from({ length: PROJECTS }, (_, i) => ({
    name: `n${i}`,
    description: '',
    technologies: ['Common', `T${i % DISTINCT}`],
  }));
  await inTransaction(db, async (tx) => {
    for (let from = 0; from < rows.length; from += 1000)
      await importRows(tx, rows.slice(from, from + 1000));
  });
  const sql = connectPlainly(database.url);
  const [{ notes }] = await sql<[{ notes: number }]>`
    select coalesce(sum(cardinality(technologies)), 0)::integer as notes from technology_changes`;
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

  // Both kinds of pages come from an index, and read no more than a small part of the technologies.
  await sql`analyze technology_counts`;
  await inTransaction(db, async (tx) => {
    const inTx = createTechnologiesFactory(tx);
    // The server adds what the session has read before, until it has reported that.
    const rowsRead = async () => {
      const [row] = await tx.execute<{ read: number }>(drizzle`
        select (coalesce(sum(seq_tup_read), 0) + coalesce(sum(idx_tup_fetch), 0))::integer as read
        from pg_stat_xact_user_tables where relname = 'technology_counts'`);
      return row!.read;
    };
    const before = await rowsRead();
    await inTx.getTechnologies('', 20);
    await inTx.getTechnologies('t999', 20);
    const read = (await rowsRead()) - before;
    expect(read).toBeGreaterThanOrEqual(31);
    expect(read).toBeLessThanOrEqual(200);
  });
});

it('single writes fold after a number of them, and a fold never fails a write in another isolation level', async () => {
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
