import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { createDatabaseConnection, type Db } from '../../src/db/connection.js';
import { copyOut } from '../../src/db/driver/copy.js';
import * as schema from '../../src/db/schema.js';
import {
  atEnd,
  backendOf,
  codeOf,
  connect,
  connectPlainly,
  endEachTest,
  sleep,
  until,
} from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startProxy } from '../support/proxy.js';

let database: TestDatabase;
beforeAll(async () => (database = await createTestDatabase()));
afterAll(() => database.drop());
endEachTest();

/** A pool with two connections, so that the third leak of a connection blocks it. */
const POOLS: [string, (url: string) => Db][] = [
  ['the pool of this library', (url) => connect({ url, max: 2, statement_timeout_ms: 500 }).db],
  [
    'a pool of postgres.js',
    (url) => {
      const client = postgres(url, { max: 2, connection: { statement_timeout: 500 } });
      atEnd(() => client.end({ timeout: 0 }));
      return drizzle(client, { schema });
    },
  ],
];

const rowsOf1000 = (count: number) =>
  sql`select repeat('x', 1000) from generate_series(1, ${count}::integer)`;
const bytesOf = (count: number) => count * (2 + 4 + 1000) + 2;

/** This exceeds the buffers between server and reader. */
const MANY = 50_000;
const LONG = rowsOf1000(MANY);

async function read(rows: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of rows) parts.push(part);
  return Buffer.concat(parts);
}

describe.each(POOLS)('COPY from %s', (_, connectTo) => {
  it('returns the rows in its format, and the values of parameters', async () => {
    const db = connectTo(database.url);
    const texts = ["it's", 'back\\slash', 'a "quoted" one', '$1', '🚀', ''];
    const rows = await read(
      copyOut(db, sql`select value from unnest(${sql.param(texts)}::text[]) as value`),
    );
    const expected = texts.map((text) => {
      const row = Buffer.from(`\0\x01\0\0\0\0${text}`);
      row.writeInt32BE(row.length - 6, 2);
      return row;
    });
    expect(rows).toEqual(Buffer.concat([...expected, Buffer.from([255, 255])]));
  });

  it('releases its connection again and again, whether it was read to the end or not', async () => {
    const db = connectTo(database.url);
    for (let i = 0; i < 4; i++) {
      expect((await read(copyOut(db, rowsOf1000(1000)))).length).toBe(bytesOf(1000));
      for await (const part of copyOut(db, LONG)) {
        expect(part.length).toBeGreaterThan(0);
        break;
      }
      await Promise.all([1, 2, 3, 4].map(() => db.execute(sql`select pg_sleep(0.001)`)));
    }
  });

  it('may run longer than the statement timeout, which applies again afterwards', async () => {
    const db = connectTo(database.url);
    let bytes = 0;
    for await (const part of copyOut(db, LONG)) {
      if (bytes === 0) await sleep(1000);
      bytes += part.length;
    }
    expect(bytes).toBe(bytesOf(MANY));
    expect(await codeOf(db.execute(sql`select pg_sleep(5)`))).toBe('statement_timeout');
  });

  it('reports an error of the server, at the beginning or later', async () => {
    const db = connectTo(database.url);
    expect(await codeOf(read(copyOut(db, sql`select * from nothing`)))).toBe(
      'database_unavailable',
    );
    const late = sql`select 1 / (20000 - i) from generate_series(1, 50000) as i`;
    expect(await codeOf(read(copyOut(db, late)))).toBe('invalid_value');
    await Promise.all([1, 2, 3, 4].map(() => backendOf(db)));
  });

  it('reports an error in the first bytes of the answer, and releases its connection', async () => {
    const db = connectTo(database.url);
    for (const row of [1, 2]) {
      const rows = copyOut(
        db,
        sql`select 1 / (i - ${row}::integer) from generate_series(1, 3) as i`,
      );
      expect(await codeOf(rows.next().then(() => rows.next()))).toBe('invalid_value');
      expect([...(await db.execute(sql`select 7 as n`))]).toEqual([{ n: 7 }]);
    }
  });

  it('waits for a lock at most for the statement timeout, and releases its connection', async () => {
    const db = connectTo(database.url);
    const holder = connectPlainly(database.url);
    await holder.begin(async (tx) => {
      await tx`lock table projects in access exclusive mode`;
      const reads = [1, 2, 3].map(() => codeOf(read(copyOut(db, sql`select id from projects`))));
      expect(await Promise.all(reads)).toEqual(Array(3).fill('statement_timeout'));
    });
    await db.execute(sql`create table written_${sql.raw(String(process.pid))} ()`);
    await db.execute(sql`drop table written_${sql.raw(String(process.pid))}`);
  });
});

it('a COPY abandons a server that has stopped answering, but not one with a slow reader', async () => {
  const proxy = await startProxy(database.url);
  atEnd(() => proxy.close());
  const { db } = connect({ url: proxy.url, max: 1, statement_timeout_ms: 200 });
  let parts = 0;
  const reading = (async () => {
    for await (const part of copyOut(db, LONG)) {
      if (parts++ === 0) await sleep(1500); // this is longer than a server may be silent
      if (parts === 2) proxy.freeze();
      expect(part.length).toBeGreaterThan(0);
    }
  })();
  expect(await codeOf(reading)).toBe('database_unavailable');
  expect(parts).toBeGreaterThan(1);
  proxy.thaw();
  await until(async () => (await codeOf(backendOf(db))) === 'none');
});

it.each([
  ['the first row', sql`select repeat('x', 10) from pg_sleep(3)`],
  [
    'a row',
    sql`select case i when 2 then repeat('y', 10) || pg_sleep(3) else 'xx' end from generate_series(1, 3) as i`,
  ],
])('a COPY waits for %s longer than the deadline while the server works', async (_, query) => {
  const { db } = connect({ url: database.url, max: 1, statement_timeout_ms: 200 });
  expect((await read(copyOut(db, query))).toString()).toMatch(/xx.*\xff?/s);
  expect(await codeOf(db.execute(sql`select pg_sleep(1)`))).toBe('statement_timeout');
});

it('a COPY abandons a connection without data although the server waits for its reader', async () => {
  const proxy = await startProxy(database.url);
  atEnd(() => proxy.close());
  const { db } = connect({ url: proxy.url, max: 1, statement_timeout_ms: 200 });
  const endless = sql`select repeat('x', 1000) from generate_series(1, 1000000)`;
  const reading = (async () => {
    let parts = 0;
    for await (const part of copyOut(db, endless)) {
      expect(part.length).toBeGreaterThan(0);
      if (parts++ === 1) proxy.stall();
    }
  })();
  expect(await codeOf(reading)).toBe('database_unavailable');
  expect(await codeOf(db.execute(sql`select 1`))).toBe('none');
});

it('a COPY ends on the server when its reader leaves before the first row', async () => {
  const { db, close } = createDatabaseConnection({ url: database.url });
  const observer = connectPlainly(database.url);
  const running = async () =>
    (
      await observer`select from pg_stat_activity where state = 'active' and query like 'copy%never%'`
    ).length;
  const never = sql`select 'never' from generate_series(1, 1e12::bigint) as i where i < 0`;
  const reading = codeOf(read(copyOut(db, never)));
  await until(async () => (await running()) === 1);
  void close();
  expect(await reading).toBe('database_unavailable');
  await until(async () => (await running()) === 0);
}, 30_000);
