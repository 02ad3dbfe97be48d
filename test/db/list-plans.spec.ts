import type { ProjectListQuery } from '../../src/db/factories/projects/project-list-query.js';
import { createProjectLists } from '../../src/db/factories/projects/project-list.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { connectRecorded, type RecordedConnection, sqlOf } from '../support/recorded.js';

let database: TestDatabase;
let recorded: RecordedConnection;
let { connection, client, sent, db } = {} as RecordedConnection;
beforeAll(async () => {
  database = await createTestDatabase();
  recorded = connectRecorded(database.url);
  ({ connection, client, sent, db } = recorded);
  await connection.db.execute(`
    insert into projects (name, description, technologies, created_at, updated_at)
    select 'Name' || i % 1000 || ' word' || i % 97, 'text' || i % 5 || ' rare' || i / 10,
      to_jsonb(array['common' || i % 5, 'medium' || i % 50, 'tail' || i % 2000]),
      '2020-01-01'::timestamptz + i * interval '1 minute', '2024-01-01'::timestamptz + i % 7777 * interval '1 hour'
    from generate_series(1, 30000) as i`);
  await connection.db.execute('select fold_technology_changes()');
  await connection.db.execute('vacuum analyze');
}, 60_000);
afterAll(async () => {
  await connection.close();
  await database.drop();
});

const after = { key: '2020-01-10T00:00:00.000Z', id: '00000000-0000-4000-8000-000000000000' };
const cases: Record<string, ProjectListQuery> = {
  'the first page': {},
  'a page far on': { after },
  'the oldest first': { descending: false },
  'sort by updatedAt': { sortBy: 'updatedAt', after },
  'sort by name': { sortBy: 'name', after: { ...after, key: 'Name5' } },
  'a technology that a fifth uses': { technology: ['common1'], after },
  'a technology that few use': { technology: ['tail7'] },
  'two technologies': { technology: ['common1', 'medium1'] },
  'one of several technologies': { anyTechnology: ['common1', 'tail7'] },
  'all of these and one of those': {
    technology: ['common1'],
    anyTechnology: ['medium1', 'medium2'],
  },
  'a technology, by name': { technology: ['tail7'], sortBy: 'name' },
  'a common word': { q: 'text1' },
  'a rare word': { q: 'rare77' },
  'a word that is not there': { q: 'nowhere' },
  'a technology and a rare word': { technology: ['common1'], q: 'rare77' },
  'a technology and a common word': { technology: ['medium1'], q: 'text1' },
  'created in a range': { createdFrom: new Date('2020-01-05'), createdTo: new Date('2020-01-06') },
  'changed in a range': { updatedFrom: new Date('2024-11-15'), sortBy: 'updatedAt' },
  'changed before a moment': { updatedTo: new Date('2024-01-02'), sortBy: 'updatedAt' },
  'created in a range, with a technology': {
    technology: ['common1'],
    createdFrom: new Date('2020-01-05'),
    createdTo: new Date('2020-01-06'),
  },
  'changed in a range, with a technology': {
    technology: ['tail7'],
    updatedFrom: new Date('2024-06-01'),
    updatedTo: new Date('2024-07-01'),
  },
  'an exact count of what few use': { count: 'exact', technology: ['tail7'] },
  'an exact count of a rare word': { count: 'exact', q: 'rare77' },
  'an exact count of a range': { count: 'exact', createdTo: new Date('2020-01-02') },
  'an estimated count': { count: 'estimated', technology: ['tail7'] },
};

it.each(Object.entries(cases))('%s uses no sequential scan', async (_name, query) => {
  await expectNoScan(() => createProjectLists(db).listProjects(query));
});

it.each(Object.entries(cases))('%s has the SQL of the reviewed snapshot', async (_name, query) => {
  const list = () => createProjectLists(db).listProjects(query);
  expect(await sqlOf(recorded, list)).toMatchSnapshot();
});

it('projects by their ids need no sequential scan', async () => {
  await expectNoScan(() => createProjectsFactory(db).getProjectsById([after.id]));
  await expectNoScan(() => createProjectLists(db).listProjectsById([after.id]));
});

it.each(Object.entries(cases))(
  '%s uses no sequential scan for a long page',
  async (_name, query) => {
    await expectNoScan(() => createProjectLists(db).listProjects({ ...query, limit: 200 }));
  },
);

async function expectNoScan(read: () => Promise<unknown>): Promise<void> {
  for (const plan of await plansOf(read)) expect(scannedWhole(plan)).toEqual([]);
}

/** Returns all statements except those for an estimate; at least one. */
async function plansOf(read: () => Promise<unknown>): Promise<Plan[]> {
  sent.length = 0;
  await read();
  const plans: Plan[] = [];
  for (const { text, params } of sent.splice(0)) {
    if (text.startsWith('explain')) continue;
    const [row] = await client.unsafe(`explain (format json) ${text}`, params as never[]);
    plans.push(row!['QUERY PLAN'][0].Plan as Plan);
  }
  expect(plans).not.toEqual([]);
  return plans;
}

it('rare conditions are searched by days, and the search index finds them', async () => {
  const neverTogether = { technology: ['common1', 'common2'] };
  const plans = await plansOf(() => createProjectLists(db).listProjects(neverTogether));
  const inDays = plans.flatMap(nodesOf).filter((node) => node['Index Cond']?.includes('d='));
  expect(inDays.length).toBeGreaterThan(0);
  for (const { 'Index Name': index, 'Index Cond': condition } of inDays)
    expect([index, condition]).toEqual([
      'projects_search_index',
      expect.stringMatching(/search @@ .* AND .*search @@ .*d=/),
    ]);
});

it('the projects of one technology are looked up without a hash table, because each occurs once', async () => {
  const read = () => createProjectLists(db).listProjects({ technology: ['common1'] });
  const [plan] = await plansOf(read);
  expect(nodesOf(plan!).map((node) => node['Node Type'])).toEqual([
    'Limit',
    'Nested Loop',
    'Limit',
    'Index Only Scan',
    'Index Scan',
  ]);
});

it('this test detects a sequential scan', async () => {
  const [row] = await client.unsafe(
    `explain (format json) select * from projects where description like '%x%'`,
  );
  expect(scannedWhole(row!['QUERY PLAN'][0].Plan)).toEqual(['projects']);
});

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Index Cond'?: string;
  Plans?: Plan[];
}

/** Returns the tables that grow with the catalogue and that a plan scans sequentially. */
function scannedWhole(plan: Plan): string[] {
  return nodesOf(plan)
    .filter((node) => node['Node Type'] === 'Seq Scan')
    .map((node) => node['Relation Name']!)
    .filter((table) => table !== 'technology_counts');
}

/** Returns the plan node and all nodes below it. */
function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}
