import { removeExpiredChanges } from '../../src/db/entity/change-expiry.js';
import { type ChangesFactory, createChangesFactory } from '../../src/db/entity/changes.factory.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { connectRecorded, type RecordedConnection } from '../support/recorded.js';

/** Commits of another entity, which precede the others. */
const OTHERS = 200_000;
const SINGLE = 100_000;
const IN_ONE = 100_000;
const LIMIT = 50;

let database: TestDatabase;
let { connection, client, sent, db } = {} as RecordedConnection;
let changes: ChangesFactory;
let others: ChangesFactory;
/** The number of changes in each commit. */
let commitTime: number;
beforeAll(async () => {
  database = await createTestDatabase();
  ({ connection, client, sent, db } = connectRecorded(database.url));
  changes = createChangesFactory(db, 'project');
  others = createChangesFactory(db, 'skill');
  // Many small transactions, then one that is as large as all of them, then many small ones again.
  const document = `'{"name":"x"}'`;
  for (const statement of [
    'alter table changes disable trigger user',
    `insert into changes (change_set, entity, entity_id, version, action, after)
      select n, 'skill', lpad(to_hex(n % 997), 32, '0')::uuid, 1, 'created', ${document}
      from generate_series(1, ${OTHERS}) as n`,
    `insert into changes (change_set, entity, entity_id, version, action, after)
      select ${OTHERS} + case when n between ${SINGLE / 2 + 1} and ${SINGLE / 2 + IN_ONE} then ${SINGLE / 2 + 1} else n end,
        'project', lpad(to_hex(n % 997), 32, '0')::uuid, 1, 'created', ${document}
      from generate_series(1, ${SINGLE + IN_ONE}) as n`,
    `insert into change_commits (change_set, entity, at)
      select change_set, entity, now() - interval '2 days' from changes where sequence = change_set order by sequence`,
    'alter table changes enable trigger user',
    'vacuum analyze',
  ])
    await connection.db.execute(statement);
  const [row] = await connection.db.execute<{ time: string }>(
    'select (extract(epoch from max(at)) * 1000)::bigint as time from change_commits',
  );
  commitTime = Number(row!.time);
}, 60_000);
afterAll(async () => {
  await connection.close();
  await database.drop();
});

const LARGE = OTHERS + SINGLE / 2 + 1;
const at = (position: number, sequence: number) => ({ after: { position, sequence, commitTime } });
const cases: Record<string, () => Promise<unknown>> = {
  'the first page of the feed, behind the changes of another entity': () => changes.getFeedPage(),
  'a page far on': () => changes.getFeedPage(at(LARGE - 100, LARGE - 100)),
  'a page that enters a large transaction': () => changes.getFeedPage(at(LARGE - 5, LARGE - 5)),
  'a page deep in a large transaction': () => changes.getFeedPage(at(LARGE, LARGE + IN_ONE / 2)),
  'the last page': () => changes.getFeedPage(at(OTHERS + SINGLE, OTHERS + SINGLE + IN_ONE - 9)),
  'nothing new': () => changes.getFeedPage(at(OTHERS + SINGLE + 2, 0)),
  'nothing new behind the changes of another entity': () => others.getFeedPage(at(OTHERS, OTHERS)),
  'the end': () => changes.getFeedEnd(),
  'a history': () => changes.getHistory('00000000-0000-0000-0000-000000000007'),
  'a history far on': () =>
    changes.getHistory('00000000-0000-0000-0000-000000000007', { before: LARGE }),
};

it.each(Object.entries(cases))(
  '%s uses indexes and reads no more rows than the page',
  async (_name, read) => {
    expect(await rowsRead(read)).toBeLessThanOrEqual(LIMIT * 3);
  },
);

it('the removal of expired changes uses indexes and reads no more rows than its step', async () => {
  const most = 100;
  for (let step = 0; step < 8; step++)
    expect(await rowsRead(() => removeExpiredChanges(db, 1, most))).toBeLessThanOrEqual(most * 10);
  expect((await others.getFeedPage()).changes[0]!.position).toBeGreaterThan(most);
});

it('a reader of one entity advances to the end past all changes of other entities', async () => {
  const { changes: found, next } = await others.getFeedPage(at(OTHERS, OTHERS));
  expect(found).toEqual([]);
  expect(next).toEqual(await others.getFeedEnd());
});

it('this test detects a plan that reads too much', async () => {
  const statement = `select * from changes where action = 'created' order by at limit 50`;
  expect(await rowsOf(statement, [])).toBeGreaterThan(SINGLE);
});

/** Returns the number of rows of the growing tables that the statements of a call read. */
async function rowsRead(call: () => Promise<unknown>): Promise<number> {
  sent.length = 0;
  await call();
  const statements = sent.splice(0);
  expect(statements.length).toBeGreaterThan(0);
  let rows = 0;
  for (const { text, params } of statements) rows += await rowsOf(text, params);
  return rows;
}

/** Explains the plan for the given values and the generic plan, because the server may use either. */
async function rowsOf(text: string, params: unknown[]): Promise<number> {
  const modes = ['force_custom_plan', 'force_generic_plan'];
  return Math.max(...(await Promise.all(modes.map((mode) => rowsPlanned(mode, text, params)))));
}

async function rowsPlanned(mode: string, text: string, params: unknown[]): Promise<number> {
  const literals = params.map((value) =>
    value === null ? 'null' : `'${value as string | number}'`,
  );
  const values = literals.length > 0 ? `(${literals.join()})` : '';
  return await client
    .begin(async (tx) => {
      await tx.unsafe(`set local plan_cache_mode = ${mode}`);
      await tx.unsafe(`prepare explained as ${text}`);
      const [row] = await tx.unsafe(`explain (analyze, format json) execute explained${values}`);
      await tx.unsafe('deallocate explained');
      // Rolls back, so that statements that remove rows can also be explained.
      throw new Explained(rowsIn((row!['QUERY PLAN'] as [{ Plan: Plan }])[0].Plan));
    })
    .catch((error: unknown) => {
      if (error instanceof Explained) return error.rows;
      throw error;
    });
}

class Explained extends Error {
  constructor(readonly rows: number) {
    super();
  }
}

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

function rowsIn(plan: Plan): number {
  const own =
    /Scan$/.test(plan['Node Type']) && plan['Relation Name']
      ? (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops']
      : 0;
  return (plan.Plans ?? []).reduce((sum, below) => sum + rowsIn(below), own);
}
