import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate as migrateByDrizzle } from 'drizzle-orm/postgres-js/migrator';
import request from 'supertest';
import { createApplication } from '../../src/application.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import { migrate } from '../../src/db/migrate.js';
import { MigrationError, migrationStatus } from '../../src/db/migration-status.js';
import { atEnd, connect, connectPlainly, endEachTest } from '../support/connections.js';
import { copyOfMigrations, emptyDatabase, NO_FAULTS } from '../support/migrations.js';

const ROOT = path.resolve(import.meta.dirname, '../..');

endEachTest();

/** Creates the folder with the migrations of a host application. Its first migration has this timestamp. */
async function hostMigrations(when: number, ...migrations: string[]): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'host-migrations-'));
  atEnd(() => rm(folder, { recursive: true }));
  await mkdir(path.join(folder, 'meta'));
  const tag = (idx: number) => `000${idx}_host`;
  const entries = migrations.map((_, idx) => ({ idx, when: when + idx, tag: tag(idx) }));
  await writeFile(path.join(folder, 'meta/_journal.json'), JSON.stringify({ entries }));
  for (const [idx, text] of migrations.entries())
    await writeFile(path.join(folder, `${tag(idx)}.sql`), text);
  return folder;
}

const HOST_ORDERS = 'create table host_orders (id int);';
const journal = { table: 'host_migrations' };

async function migrateHost(url: string, when: number): Promise<void> {
  const migrationsFolder = await hostMigrations(when, HOST_ORDERS);
  await migrateByDrizzle(drizzle(connectPlainly(url)), { migrationsFolder });
}

async function migrateHostByUs(url: string, when: number): Promise<void> {
  const folder = await hostMigrations(when, HOST_ORDERS);
  expect(await migrate({ url }, { folder, journal })).toEqual(['0000_host']);
  expect(await migrate({ url }, { folder, journal })).toEqual([]);
  const status = await migrationStatus(connect({ url }).db, { folder, journal });
  expect(status).toEqual({ ...NO_FAULTS, applied: ['0000_host'] });
}

async function schemasOf(url: string, table: string): Promise<string[]> {
  const rows = await connectPlainly(url)`
    select table_schema as name from information_schema.tables where table_name = ${table} order by 1`;
  return rows.map((row) => row.name as string);
}

async function createSchemas(url: string, ...names: string[]): Promise<void> {
  const client = connectPlainly(url);
  for (const name of names) await client.unsafe(`create schema "${name}"`);
}

function onPath(url: string, searchPath: string): string {
  return `${url}?search_path=${encodeURIComponent(searchPath)}`; // libpq would interpret a plain +
}

async function startOn(url: string) {
  const app = await createApplication(
    validateEnvironment({ DATABASE_URL: url, MIGRATIONS: 'verify', LOG_LEVEL: 'fatal' }),
  );
  atEnd(() => app.close());
  await app.listen(0, '127.0.0.1');
  return request(await app.getUrl());
}

describe.each([
  ['older', 1],
  ['newer', 4_000_000_000_000],
])('migrations next to a host whose drizzle migrations are %s than ours', (_age, when) => {
  it.each([
    ['the host comes first', [migrateHost, migrateOurs]],
    ['the host comes second', [migrateOurs, migrateHost]],
    ['the host comes first and uses migrate()', [migrateHostByUs, migrateOurs]],
    ['the host comes second and uses migrate()', [migrateOurs, migrateHostByUs]],
  ])('are both applied completely when %s', async (_order, steps) => {
    const url = await emptyDatabase();
    for (const step of steps) await step(url, when);
    expect(await schemasOf(url, 'host_orders')).toEqual(['public']);
    expect(await schemasOf(url, 'projects')).toEqual(['public']);
    expect(await migrationStatus(connect({ url }).db)).toMatchObject(NO_FAULTS);
    expect(await migrate({ url })).toEqual([]);
  });

  async function migrateOurs(url: string): Promise<void> {
    await migrate({ url });
  }
});

it('the migrations of a host have the new columns of its tables recorded in the history', async () => {
  const url = await emptyDatabase();
  await migrate({ url });
  const create = `
    create table trips (id uuid primary key default gen_random_uuid(), goal text not null,
      created_at timestamptz(3) not null default now(), updated_at timestamptz(3) not null default now(),
      version integer not null default 1);
    select track_changes('trips', 'trip');`;
  const column = 'alter table trips add column driver_name text;';
  for (const migrations of [[create], [create, column]]) {
    const folder = await hostMigrations(1, ...migrations);
    expect(await migrate({ url }, { folder, journal })).toHaveLength(1);
  }
  const sql = connectPlainly(url);
  await sql`insert into trips (goal, driver_name) values ('Rome', 'Ada')`;
  const [change] = await sql`select after from changes`;
  expect(change!.after).toMatchObject({ goal: 'Rome', driverName: 'Ada', version: 1 });
});

it('migrations of a host without a journal of their own are refused with the remedy', async () => {
  const url = await emptyDatabase();
  await migrate({ url });
  const folder = await hostMigrations(1, HOST_ORDERS);
  const refused = await migrate({ url }, { folder }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(MigrationError);
  expect((refused as Error).message).toMatch(
    /newer: stamped .*another application uses the same journal, .*each needs a `journal` of its own/,
  );
  expect(await schemasOf(url, 'host_orders')).toEqual([]);
});

it('drizzle-kit and this code agree on the applied migrations', async () => {
  const kit = (url: string) =>
    execFileSync(process.execPath, ['node_modules/drizzle-kit/bin.cjs', 'migrate'], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, DATABASE_URL: url },
      stdio: 'pipe',
    });
  const byKit = await emptyDatabase();
  kit(byKit);
  expect(await migrate({ url: byKit })).toEqual([]);

  const byUs = await emptyDatabase();
  const applied = await migrate({ url: byUs });
  kit(byUs);
  const rows = await connectPlainly(byUs)`select from projects_service_migrations`;
  expect(rows).toHaveLength(applied.length);
  expect(await schemasOf(byUs, '__drizzle_migrations')).toEqual([]);
});

it('two schemas in one database are migrated and checked separately', async () => {
  const url = await emptyDatabase();
  await createSchemas(url, 's1', 's 2');
  const [first, second] = [onPath(url, 's1, public'), onPath(url, '"s 2", public')];
  await migrate({ url: first });

  const api = await startOn(second);
  const { body } = await api.get('/health/ready').expect(503);
  expect(body.errors).toMatchObject([{ path: 'migrations', message: /^pending: / }]);
  await api.get('/api/projects').expect(503);

  await migrate({ url: second });
  await api.get('/health/ready').expect(200);
  const project = { name: 'The second database', description: '', technologies: ['C'] };
  await api.post('/api/projects').send(project).expect(201);
  for (const q of ['second', 'databse']) {
    expect((await api.get(`/api/projects?q=${q}`).expect(200)).body.data).toHaveLength(1);
  }
  expect((await api.get('/api/technologies').expect(200)).body.data).toHaveLength(1);

  const other = await startOn(first);
  await other.get('/health/ready').expect(200);
  expect((await other.get('/api/projects').expect(200)).body.data).toEqual([]);
  for (const table of ['projects', 'projects_service_migrations']) {
    expect(await schemasOf(url, table)).toEqual(['s 2', 's1']);
  }
});

it('later migrations are applied to the schema of the tables, wherever it is in the search path', async () => {
  const url = await emptyDatabase();
  await migrate({ url });
  await createSchemas(url, 'before');
  const { folder, add } = await copyOfMigrations();
  await add('9001_later', 'create table later (n int);', 1);
  expect(await migrate({ url: onPath(url, 'before, public') }, { folder })).toEqual(['9001_later']);
  expect(await schemasOf(url, 'later')).toEqual(['public']);
  expect(await migrationStatus(connect({ url }).db, { folder })).toMatchObject(NO_FAULTS);
});

describe('tables outside the search path', () => {
  it('are reported by name, and nothing is applied', async () => {
    const url = await emptyDatabase();
    await createSchemas(url, 'empty', 'foreign');
    const journal = { schema: 'journals', table: 'ours' };
    await migrate({ url }, { journal });
    const elsewhere = onPath(url, 'empty');
    const { absent } = await migrationStatus(connect({ url: elsewhere }).db, { journal });
    expect(absent).toContain('projects');
    const refused = await migrate({ url: elsewhere }, { journal }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(MigrationError);
    expect((refused as Error).message).toMatch(/absent tables: .*projects.*search_path/);
  });

  it('are not used when another application has tables earlier in the search path', async () => {
    const url = await emptyDatabase();
    await createSchemas(url, 'foreign');
    await migrate({ url });
    await connectPlainly(url)`create table "foreign".projects (id int)`;
    const status = await migrationStatus(connect({ url: onPath(url, 'foreign,public') }).db);
    expect(status).toMatchObject({ ...NO_FAULTS, absent: ['projects'] });
  });
});

it('the journal can be named, and is created with its schema', async () => {
  const url = await emptyDatabase();
  const journal = { schema: 'a journal', table: 'of "ours"' };
  const applied = await migrate({ url }, { journal });
  expect(await schemasOf(url, 'of "ours"')).toEqual(['a journal']);
  const { db } = connect({ url });
  expect(await migrationStatus(db, { journal })).toEqual({ ...NO_FAULTS, applied });
  expect(await migrate({ url }, { journal })).toEqual([]);
  expect(await schemasOf(url, 'projects_service_migrations')).toEqual([]);
});
