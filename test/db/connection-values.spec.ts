import { eq, sql } from 'drizzle-orm';
import type { Db } from '../../src/db/connection.js';
import { projects } from '../../src/db/schema.js';
import { inTransaction } from '../../src/db/transaction.js';
import { momentOf } from '../../src/db/driver/text-format.js';
import { aProject } from '../support/builders.js';
import { atEnd, codeOf, connect, connectPlainly, endEachTest } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startProxy } from '../support/proxy.js';

let database: TestDatabase;
let url: string;

beforeAll(async () => {
  database = await createTestDatabase();
  url = database.url;
});
afterAll(() => database.drop());
endEachTest();

async function preparedStatements(db: Db): Promise<number> {
  const [row] = await db.execute(sql`select count(*)::int as count from pg_prepared_statements`);
  return row!.count as number;
}

describe('prepared statements', () => {
  it('need one round trip for a repeated query, also in a transaction', async () => {
    const proxy = await startProxy(url);
    atEnd(() => proxy.close());
    const { db } = connect({ url: proxy.url, max: 1 });
    const find = (from: Db) => from.select().from(projects).where(eq(projects.version, 1)).limit(2);
    await find(db);
    const before = proxy.roundTrips();
    await find(db);
    expect(proxy.roundTrips() - before).toBe(1);
    await db.transaction(find);
    expect(proxy.roundTrips() - before).toBe(4);
    expect(await preparedStatements(db)).toBe(1);
  });

  it('are limited in number, and long ones are not prepared', async () => {
    const { db } = connect({ url, max: 1 });
    for (let i = 0; i < 600; i++)
      await db.execute(sql.raw(`select ${i} + `).append(sql`${1}::int`));
    expect(await preparedStatements(db)).toBe(500);

    const another = connect({ url, max: 1 });
    const values = Array.from({ length: 1600 }, (_, i) => sql`${i}::int`);
    await another.db.execute(sql`select ${sql.join(values, sql`, `)}`);
    expect(await preparedStatements(another.db)).toBe(0);
  });

  it('continue to work after a table has changed, with the same values', async () => {
    const { db } = connect({ url, max: 1 });
    const plain = connectPlainly(url);
    await db.execute(sql`create table flags (id int, flag boolean)`);
    await db.execute(sql`insert into flags values (1, true)`);
    const find = (from: Db) => from.execute(sql`select * from flags where flag = ${true}`);
    const findPlainly = () =>
      plain.unsafe('select * from flags where flag = $1', [true], { prepare: true });
    for (let i = 0; i < 2; i++) await Promise.all([find(db), findPlainly()]);

    await db.execute(sql`alter table flags alter id type bigint`);
    expect(await find(db)).toEqual([{ id: '1', flag: true }]);
    // The plain driver also repeats it, but with `false` instead of `true`.
    expect(await findPlainly()).toEqual([]);

    // A transaction cannot repeat one statement, but it can be repeated as a whole.
    await db.execute(sql`alter table flags add note text`);
    expect(await codeOf(db.transaction(find))).toBe('conflict');
    await db.execute(sql`alter table flags drop note`);
    expect(await inTransaction(db, find)).toEqual([{ id: '1', flag: true }]);
  });

  it('are not created when they are disabled', async () => {
    const { db } = connect({ url, max: 1, prepare: false });
    for (let i = 0; i < 3; i++) {
      expect(await db.execute(sql`select ${1}::int as one`)).toEqual([{ one: 1 }]);
    }
    expect(await preparedStatements(db)).toBe(0);
    const [row] = await db.execute(sql`select setting, source from pg_settings
      where name = 'statement_timeout'`);
    expect(row).not.toMatchObject({ source: 'client' });
  });
});

describe('values', () => {
  it('of a project are returned as they were stored, with JSON as JSON and times in milliseconds', async () => {
    const { db } = connect({ url });
    const createdAt = '2026-03-04T05:06:07.089Z';
    const technologies = ['C++', 'a "quoted" \\ one', '{}', 'Ünïcode 🚀'];
    const values = { ...aProject({ technologies }), createdAt };
    const [project] = await db.insert(projects).values(values).returning();
    expect(project).toMatchObject(values);
    const found = db.select().from(projects).where(eq(projects.createdAt, createdAt));
    expect(await found).toEqual([project]);
    const [row] = await db.execute(sql`select jsonb_typeof(technologies) as type from projects`);
    expect(row).toEqual({ type: 'array' });
  });

  it.each([
    ['2026-01-31 12:00:00+00', '2026-01-31T12:00:00.000Z'],
    ['2026-01-31 12:00:00.1+00', '2026-01-31T12:00:00.100Z'],
    ['2026-01-31 12:00:00.123+00', '2026-01-31T12:00:00.123Z'],
    ['2026-01-31 12:00:00.123456+00', '2026-01-31T12:00:00.123Z'],
    ['2026-01-31 14:00:00+02', '2026-01-31T12:00:00.000Z'],
    ['0099-01-31 12:00:00+00', '0099-01-31T12:00:00.000Z'],
    ['10000-01-31 12:00:00+00', '+010000-01-31T12:00:00.000Z'],
    ['infinity', 'infinity'],
  ])('are formatted by momentOf: %s as %s', (text, moment) => {
    expect(momentOf(text)).toBe(moment);
  });

  it('of every kind of array can be written and read', async () => {
    const { db } = connect({ url });
    const texts = ['a', '', 'NULL', null, ' b ', 'c,d', '{e}', '"f"', 'g\\h', 'line\nbreak'];
    const [row] = await db.execute(sql`
      select ${sql.param(texts)}::text[] as texts, ${sql.param([])}::text[] as none,
        ${sql.param([
          [1, 2],
          [3, null],
        ])}::int[] as matrix,
        ${sql.param([true, false])}::bool[] as flags, '[0:1]={5,6}'::int[] as shifted,
        array['{"a": [1, "}"]}'::jsonb] as documents,
        array['2026-01-01T00:00:00Z'::timestamptz]::text[] as times`);
    expect(row).toEqual({
      texts,
      none: [],
      matrix: [
        [1, 2],
        [3, null],
      ],
      flags: [true, false],
      shifted: [5, 6],
      documents: [{ a: [1, '}'] }],
      times: ['2026-01-01 00:00:00+00'],
    });
    const among = db.execute(sql`select 'b' = any(${sql.param(['a', 'b'])}::text[]) as found`);
    expect(await among).toEqual([{ found: true }]);
  });

  it('of an array with a delimiter other than a comma are read separately', async () => {
    const { db } = connect({ url });
    const [row] = await db.execute(sql`
      select array[box '((1,1),(0,0))', null, box '((4,4),(2,2))'] as boxes,
        '{{(1,1),(0,0)};{(3,3),(2,2)}}'::box[] as matrix, '{}'::box[] as none`);
    expect(row).toEqual({
      boxes: ['(1,1),(0,0)', null, '(4,4),(2,2)'],
      matrix: [['(1,1),(0,0)'], ['(3,3),(2,2)']],
      none: [],
    });
  });

  it('of every other kind can be written and read, and values without a text form are refused', async () => {
    const { db, stats } = connect({ url, max: 1 });
    const bytes = Buffer.from([0, 1, 255]);
    const at = new Date('2026-01-02T03:04:05.678Z');
    const [row] = await db.execute(sql`
      select ${true}::bool as yes, ${false}::bool as no, ${1.5}::float8 as number,
        ${12345678901234567890n}::numeric as big, ${bytes}::bytea as bytes,
        ${sql.param(at)}::timestamptz as at, ${null}::text as nothing, ${'0'}::text as zero`);
    expect(row).toEqual({
      ...{ yes: true, no: false, number: 1.5, big: '12345678901234567890', bytes },
      ...{ at: '2026-01-02 03:04:05.678+00', nothing: null, zero: '0' },
    });
    const refused = db.execute(sql`select ${sql.param({ an: 'object' })}::jsonb`).execute();
    await expect(refused).rejects.toMatchObject({
      cause: { message: 'A statement parameter cannot be of type object.' },
    });
    expect(stats()).toMatchObject({ open: 1, idle: 1 });
  });

  it('that the server refuses, and statements that take too long, are reported by code', async () => {
    const { db } = connect({ url, statement_timeout_ms: 100 });
    const code = (statement: string) => codeOf(db.execute(sql.raw(statement)));
    expect(await code(`select 'x'::uuid`)).toBe('invalid_value');
    expect(await code(`select repeat('[', 50000)::jsonb`)).toBe('invalid_value');
    expect(await code(`select pg_sleep(1)`)).toBe('statement_timeout');
    expect(await code(`select * from nowhere`)).toBe('database_unavailable');
  });
});
