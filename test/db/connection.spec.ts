import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { sql } from 'drizzle-orm';
import type postgres from 'postgres';
import {
  atEnd,
  codeOf,
  connect,
  connectPlainly,
  endEachTest,
  sleep,
  timeOf,
  until,
} from '../support/connections.js';
import { built } from '../support/built.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { lateCost } from '../support/late-cost.js';

let database: TestDatabase;
let url: string;

beforeAll(async () => {
  database = await createTestDatabase();
  url = database.url;
});
afterAll(() => database.drop());
endEachTest();

const five = <T>(call: () => T) => Array.from({ length: 5 }, call);

describe('waiting for a connection', () => {
  it('ends within the acquire timeout and is counted', async () => {
    const { db, stats } = connect({ url, max: 1, acquire_timeout_ms: 200 });
    await db.execute(sql`select 1`);
    const slow = db.execute(sql`select pg_sleep(0.8)`).execute();
    const refused = timeOf(db.execute(sql`select 1`));
    const code = codeOf(db.execute(sql`select 1`));
    await sleep(10);
    expect(stats()).toEqual({ open: 1, idle: 0, opening: 0, waiting: 2, timeouts: 0 });
    expect(await code).toBe('pool_exhausted');
    expect(await refused).toBeLessThan(600);
    expect(stats()).toEqual({ open: 1, idle: 0, opening: 0, waiting: 0, timeouts: 2 });
    await slow;
    expect(stats()).toEqual({ open: 1, idle: 1, opening: 0, waiting: 0, timeouts: 2 });

    // The plain driver has no such limit.
    const plain = connectPlainly(url);
    void plain`select pg_sleep(0.8)`.execute();
    expect(await timeOf(plain`select 1`)).toBeGreaterThan(700);
  });

  it('ends at once when a connection is free, even if another one is busy', async () => {
    const { db, stats } = connect({ url, max: 2 });
    const plain = connectPlainly(url, { max: 2 });
    await until(async () => {
      await Promise.all(five(() => db.execute(sql`select pg_sleep(0.01)`)));
      return stats().idle === 2;
    });
    await Promise.all(five(() => plain`select pg_sleep(0.01)`));

    const slow = db.execute(sql`select pg_sleep(0.6)`).execute();
    const waits = await Promise.all(five(() => timeOf(db.execute(sql`select 1`))));
    expect(Math.max(...waits)).toBeLessThan(400);
    await slow;

    // The plain driver sends every other query behind the slow one.
    void plain`select pg_sleep(0.6)`.execute();
    const plainWaits = await Promise.all(five(() => timeOf(plain`select 1`)));
    expect(Math.max(...plainWaits)).toBeGreaterThan(500);
  });

  it('ends with an existing connection when the server accepts no more', async () => {
    const admin = connectPlainly(url);
    const role = `limited_${process.pid}_${Date.now()}`;
    await admin.unsafe(`create role ${role} login password 'secret' connection limit 2`);
    atEnd(async () => {
      const dropper = connectPlainly(url);
      await until(() =>
        dropper.unsafe(`drop role ${role}`).then(
          () => true,
          () => false,
        ),
      );
      await dropper.end();
    });
    const limited = new URL(url);
    limited.username = role;
    limited.password = 'secret';
    const plain = connectPlainly(limited.href, { max: 10 });
    const plainly = Array.from({ length: 40 }, () => codeOf(plain`select pg_sleep(0.01)`));
    expect(await Promise.all(plainly)).toContain('database_unavailable');
    await plain.end();

    await until(async () => {
      const [row] = await admin`select count(*)::int from pg_stat_activity where usename = ${role}`;
      return row!.count === 0;
    });
    const { db } = connect({ url: limited.href, max: 10 });
    const codes = Array.from({ length: 40 }, () => codeOf(db.execute(sql`select pg_sleep(0.01)`)));
    expect(new Set(await Promise.all(codes))).toEqual(new Set(['none']));
  });
});

describe('a refused connection attempt', () => {
  it('is repeated for waiting callers while another session is busy', async () => {
    const admin = connectPlainly(url);
    const role = `refused_${process.pid}_${Date.now()}`;
    await admin.unsafe(`create role ${role} login password 'secret' connection limit 1`);
    atEnd(() => admin.unsafe(`drop role ${role}`));
    const limited = new URL(url);
    limited.username = role;
    limited.password = 'secret';
    const { db, stats } = connect({ url: limited.href, max: 2 });
    let isBusy = true;
    const busy = codeOf(db.execute(sql`select pg_sleep(4)`)).finally(() => (isBusy = false));
    await until(() => stats().open === 1);
    // Only one call, because a second caller would cause another attempt.
    const waiting = codeOf(db.execute(sql`select 1`));
    await sleep(100); // this is refused, because the role has no other connection
    await admin.unsafe(`alter role ${role} connection limit 10`);
    expect([await waiting, isBusy]).toEqual(['none', true]);
    expect(await busy).toBe('none');
  });
});

describe('a connection', () => {
  it('needs the same processor time for a query after very many queries', async () => {
    const { db } = connect({ url, max: 10 });
    const statement = 'select id from projects limit $1';
    // Drizzle uses this function for its statements. The work of drizzle itself would hide a part of the driver's.
    const { $client } = db as unknown as { $client: postgres.Sql };
    const run = () => $client.unsafe(statement, [1]).values();
    expect(await lateCost(64_000, run, 1.5)).toBeLessThan(1.5);
  });

  it('is closed after the idle timeout', async () => {
    const admin = connectPlainly(url);
    const { db, stats } = connect({ url, idle_timeout: 1, application_name: 'idle test' });
    await Promise.all(five(() => db.execute(sql`select pg_sleep(0.01)`)));
    expect(stats().open).toBeGreaterThan(1);
    await until(async () => {
      const seen = await admin`select from pg_stat_activity where application_name = 'idle test'`;
      return seen.length === 0 && stats().open === 0;
    });
    expect(await codeOf(db.execute(sql`select 1`))).toBe('none');
  });

  it('is never used by others in the middle of a COPY', async () => {
    const { db, stats } = connect({ url, max: 1 });
    for (const statement of [
      'copy projects to stdout',
      'copy projects from stdin',
      'copy (select 1 / (2 - i) from generate_series(1, 3) as i) to stdout',
      'select 1; copy (select 1 / (1 - i) from generate_series(1, 3) as i) to stdout',
    ]) {
      expect(await codeOf(db.execute(sql.raw(statement)))).not.toBe('none');
      const [row] = await db.execute(sql`select now() = statement_timestamp() as outside`);
      expect(row).toEqual({ outside: true });
    }
    expect(stats().open).toBe(1);
  });

  it('uses UTC and ISO dates, whatever the settings of the database are', async () => {
    const admin = connectPlainly(url);
    const { pathname } = new URL(url);
    await admin.unsafe(`alter database ${pathname.slice(1)} set datestyle = 'German'`);
    await admin.unsafe(`alter database ${pathname.slice(1)} set timezone = 'Asia/Kolkata'`);
    atEnd(() => admin.unsafe(`alter database ${pathname.slice(1)} reset all`));
    const { db } = connect({ url });
    const [row] = await db.execute(sql`select '2026-02-01T12:00:00.123Z'::timestamptz as at`);
    expect(row).toEqual({ at: '2026-02-01 12:00:00.123+00' });
  });
});

describe('closing the pool', () => {
  it('waits for running statements, refuses new ones, and leaves no session open', async () => {
    const admin = connectPlainly(url);
    const { db, stats, close } = connect({ url, max: 2, application_name: 'closing test' });
    await until(async () => {
      await Promise.all(five(() => db.execute(sql`select pg_sleep(0.01)`)));
      return stats().idle === 2;
    });
    const running = codeOf(db.execute(sql`select pg_sleep(0.4)`));
    const transaction = codeOf(
      db.transaction(async (tx) => {
        await tx.execute(sql`select pg_sleep(0.2)`);
        await tx.execute(sql`select 1`);
      }),
    );
    const waiting = codeOf(db.execute(sql`select 1`));
    await sleep(10);
    const closing = close();
    expect(await waiting).toBe('database_unavailable');
    expect(await codeOf(db.execute(sql`select 1`))).toBe('database_unavailable');
    expect([await running, await transaction]).toEqual(['none', 'none']);
    await closing;
    await close();
    expect(
      await admin`select state, query from pg_stat_activity where application_name = 'closing test'`,
    ).toHaveLength(0);
  });

  it('lets the process end', async () => {
    await built();
    const script = `
      import { createDatabaseConnection } from './dist/db/connection.js';
      import { sql } from 'drizzle-orm';
      const { db, close } = createDatabaseConnection({ url: process.env.url });
      await Promise.all([1, 2, 3].map(() => db.execute(sql\`select pg_sleep(0.01)\`)));
      const gone = createDatabaseConnection({ url: 'postgres://127.0.0.1:1/none' });
      await gone.db.execute(sql\`select 1\`).catch(() => {});
      await Promise.all([close(), gone.close()]);
      console.log(Date.now());`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      cwd: path.resolve(import.meta.dirname, '../..'),
      env: { PATH: process.env.PATH, url },
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 10_000,
    });
    let closedAt = '';
    child.stdout.on('data', (chunk: Buffer) => (closedAt += chunk.toString()));
    expect(await once(child, 'close')).toEqual([0, null]);
    expect(Date.now() - Number(closedAt)).toBeLessThan(1000);
  });
});
