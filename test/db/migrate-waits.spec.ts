import { once } from 'node:events';
import request from 'supertest';
import { migrate } from '../../src/db/migrate.js';
import {
  connectPlainly,
  endEachTest,
  atEnd,
  sleep,
  timeOf,
  until,
} from '../support/connections.js';
import { copyOfMigrations, emptyDatabase } from '../support/migrations.js';
import { startService } from '../support/service.js';

const ALTER = 'alter table projects add column extra integer;';

endEachTest();

/** Opens a transaction that has read this table, like a long export. It ends with the test at the latest. */
async function readerOf(url: string, table: string) {
  const client = connectPlainly(url);
  await client.unsafe(`begin; select from ${table} limit 1`);
  return { end: () => client.unsafe('commit') };
}

async function columnsOf(url: string): Promise<string[]> {
  const rows = await connectPlainly(url)`
    select column_name as name from information_schema.columns where table_name = 'projects'`;
  return rows.map((row) => row.name as string);
}

it('lists, technologies and writes are answered while a migration waits for a table, and then it is applied', async () => {
  const service = await startService();
  atEnd(() => service.close());
  const { url } = service.database;
  const { folder, add } = await copyOfMigrations();
  await add('9001_wait', ALTER, 1);
  const reader = await readerOf(url, 'projects');
  const waits: string[] = [];
  const migrating = migrate({ url }, { folder, onWait: (message) => waits.push(message) });

  const api = request(service.url);
  const project = { name: 'Meanwhile', description: '', technologies: ['C'] };
  const times: number[] = [];
  while (waits.length < 3) {
    const began = performance.now();
    await api.get('/api/projects').expect(200);
    await api.get('/api/technologies').expect(200);
    await api.post('/api/projects').send(project).expect(201);
    times.push(performance.now() - began);
    await sleep(20);
  }
  expect(times.length).toBeGreaterThan(10);
  expect(Math.max(...times)).toBeLessThan(1000);
  expect(waits[0]).toContain('retries every');
  expect(await columnsOf(url)).not.toContain('extra');

  await reader.end();
  expect(await migrating).toEqual(['9001_wait']);
  expect(await columnsOf(url)).toContain('extra');
});

it('time limits of a role or a pooler do not end a migration', async () => {
  const url = await emptyDatabase();
  const client = connectPlainly(url);
  const limits = ['statement_timeout', 'idle_in_transaction_session_timeout', 'lock_timeout'];
  const sinceVersion17 = await client`
    select from pg_settings where name = 'transaction_timeout'`;
  if (sinceVersion17.length > 0) limits.push('transaction_timeout');
  for (const limit of limits) {
    await client.unsafe(`alter database ${new URL(url).pathname.slice(1)} set ${limit} = '300ms'`);
  }
  const { folder, add } = await copyOfMigrations();
  await add('9001_long', 'select pg_sleep(0.7);', 1);
  const applied = await migrate({ url, prepare: false }, { folder }); // this client sends no limits
  expect(applied).toContain('9001_long');
});

describe('an aborted signal', () => {
  it('prevents a migration from starting', async () => {
    const reason = new Error('stopped before');
    const signal = AbortSignal.abort(reason);
    await expect(migrate({ url: 'postgres://127.0.0.1:1/none' }, { signal })).rejects.toBe(reason);
    const url = await emptyDatabase();
    await expect(migrate({ url }, { signal })).rejects.toBe(reason);
    expect(await columnsOf(url)).toEqual([]);
  });

  it('ends a migration in the middle of a statement, also in the database', async () => {
    const url = await emptyDatabase();
    const { folder, add } = await copyOfMigrations();
    await add('9001_long', 'select pg_sleep(60);', 1);
    const stopping = new AbortController();
    const migrating = migrate({ url }, { folder, signal: stopping.signal });
    migrating.catch(() => undefined);
    const client = connectPlainly(url);
    const running = async () =>
      (
        await client`
        select from pg_stat_activity
        where datname = current_database() and query like 'select pg_sleep%'`
      ).length;
    await until(async () => (await running()) === 1);

    const reason = new Error('stopped meanwhile');
    stopping.abort(reason);
    expect(await timeOf(migrating)).toBeLessThan(1000);
    await expect(migrating).rejects.toBe(reason);
    await until(async () => (await running()) === 0);
    expect(await columnsOf(url)).toEqual([]);
  });

  it('ends a migration that waits for a table or for another migration', async () => {
    const url = await emptyDatabase();
    await migrate({ url });
    const { folder, add } = await copyOfMigrations();
    await add('9001_wait', ALTER, 1);
    const reader = await readerOf(url, 'projects');
    const stopping = new AbortController();
    const waits = new EventTarget();
    const waited = once(waits, 'wait');
    const first = migrate(
      { url },
      { folder, signal: stopping.signal, onWait: () => waits.dispatchEvent(new Event('wait')) },
    );
    first.catch(() => undefined);
    await waited;
    stopping.abort();
    await expect(first).rejects.toBe(stopping.signal.reason);
    await reader.end();
    expect(await columnsOf(url)).not.toContain('extra');

    const holder = connectPlainly(url);
    await holder`select pg_advisory_lock(${'0x6d696772617465'}::bigint)`;
    const signal = AbortSignal.timeout(200);
    const second = migrate({ url }, { folder, signal });
    expect(await timeOf(second)).toBeLessThan(1500);
    await expect(second).rejects.toBe(signal.reason);
  });
});
