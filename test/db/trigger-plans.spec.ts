import postgres, { type TransactionSql } from 'postgres';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const BATCHES = 8;
const ROWS = 1000;
const KEPT = ['name_words', 'project_technologies'];

let database: TestDatabase;
let sql: postgres.Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = postgres(database.url, { max: 1 });
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

const insert = (tx: TransactionSql, batch: number) => tx`
  insert into projects (name, description, technologies)
  select translate(md5(i::text), '0123456789', 'ghijklmnop'), ${String(batch)}, jsonb_build_array('a', 'b' || i % 7)
  from generate_series(${batch * ROWS}::integer, ${batch * ROWS + ROWS - 1}::integer) as i`;
const update = (tx: TransactionSql, batch: number) => tx`
  update projects set name = name || 'x', technologies = technologies || '["c"]' where description = ${String(batch)}`;
const remove = (tx: TransactionSql, batch: number) => tx`
  delete from projects where description = ${String(batch)}`;

it('the triggers of the lists read the same number of rows at the beginning and the end of a long transaction', async () => {
  await sql`analyze`;
  await sql.begin(async (tx) => {
    for (const write of [insert, update, remove]) {
      const read: number[] = [];
      for (let batch = 0; batch < BATCHES; batch++) {
        const before = await rowsRead(tx);
        await write(tx, batch);
        read.push((await rowsRead(tx)) - before);
      }
      // Each project has one name and up to three technologies; each of these occurs once or twice.
      expect(Math.max(...read)).toBeLessThanOrEqual(ROWS * 10);
    }
  });
});

it('a session plans the statements of the triggers once, for alternating writes of one row and of many', async () => {
  const planned: string[] = [];
  const session = postgres(database.url, {
    max: 1,
    onnotice: ({ message }) => planned.push(message ?? ''),
    connection: { log_planner_stats: 'on', client_min_messages: 'log' },
  });
  const one = (name: string) => [
    `insert into projects (name, description, technologies) values ('${name}', 'one', '["x"]')`,
    `update projects set name = name || 'y', technologies = '["z"]' where description = 'one'`,
    `delete from projects where description = 'one'`,
  ];
  try {
    for (let round = 0; round < 8; round++) {
      for (const write of one('first')) await session.unsafe(write);
      await session.begin(async (tx) => {
        for (const write of [insert, update, remove]) await write(tx, round);
      });
    }
    await session`analyze projects, changes, project_technologies`;
    await session.begin((tx) => insert(tx, 1));
    for (const write of one('second')) await session.unsafe(write);
    for (const write of one('third')) {
      planned.length = 0;
      await session.unsafe(write);
      expect(planned).toEqual(['PLANNER STATISTICS']);
    }
  } finally {
    await session.end();
  }
});

async function rowsRead(tx: TransactionSql): Promise<number> {
  const [row] = await tx<[{ read: number }]>`
    select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::integer as read
    from pg_stat_xact_user_tables where relname in ${tx(KEPT)}`;
  return row.read;
}
