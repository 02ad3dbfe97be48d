import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { migrate } from '../../src/db/migrate.js';
import { MigrationError, migrationStatus } from '../../src/db/migration-status.js';
import { built } from '../support/built.js';
import { atEnd, connect, connectPlainly, endEachTest } from '../support/connections.js';
import { copyOfMigrations, emptyDatabase, MIGRATIONS, NO_FAULTS } from '../support/migrations.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const journal = JSON.parse(readFileSync(path.join(MIGRATIONS, 'meta/_journal.json'), 'utf8')) as {
  entries: { tag: string }[];
};
const released = journal.entries.map(({ tag }) => tag);
const second = released[1]!;
const others = released.filter((tag) => tag !== second);

endEachTest();

async function changeDatabase(url: string, settings: Record<string, string>): Promise<void> {
  const client = connectPlainly(url);
  const database = new URL(url).pathname.slice(1);
  for (const [name, value] of Object.entries(settings)) {
    await client.unsafe(`alter database ${database} set ${name} = '${value}'`);
  }
}

async function tablesOf(url: string): Promise<string[]> {
  const rows = await connectPlainly(url)`
    select table_name as name from information_schema.tables
    where table_schema not in ('pg_catalog', 'information_schema') order by table_name`;
  return rows.map((row) => row.name as string);
}

it.each([
  [{}],
  [{ default_transaction_isolation: 'repeatable read' }],
  [{ default_transaction_isolation: 'serializable', default_transaction_read_only: 'on' }],
])(
  'eight processes that start at once on an empty database with %j all succeed and apply each migration once',
  async (settings) => {
    await built();
    const url = await emptyDatabase();
    await changeDatabase(url, settings);
    const { folder, add } = await copyOfMigrations();
    await add('9003_count', 'create table if not exists counted (n int);', 1);
    await add('9004_count_data', 'insert into counted values (1);', 2);
    const script = `
    const { migrate } = await import('./dist/db/migrate.js');
    process.stdout.write('ready');
    process.stdin.once('data', async () => {
      console.log(JSON.stringify(await migrate({ url: process.env.url }, { folder: process.env.folder })));
      process.exit(0);
    });`;
    const children = Array.from({ length: 8 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', script], {
        cwd: ROOT,
        env: { PATH: process.env.PATH, url, folder },
        stdio: ['pipe', 'pipe', 'inherit'],
        timeout: 20_000,
      }),
    );
    await Promise.all(children.map((child) => once(child.stdout, 'data')));
    const results = children.map(async (child) => {
      let output = '';
      child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, applied: JSON.parse(output) as string[] };
    });
    for (const child of children) child.stdin.end('go');
    const ended = await Promise.all(results);

    expect(ended.map(({ code }) => code)).toEqual(Array<number>(8).fill(0));
    expect(ended.flatMap(({ applied }) => applied)).toEqual([
      ...released,
      '9003_count',
      '9004_count_data',
    ]);
    const client = connectPlainly(url);
    expect(await client`select n from counted`).toEqual([{ n: 1 }]);
    expect(await client`select from projects_service_migrations`).toHaveLength(released.length + 2);
  },
);

it('a database without migrations reports all as pending, and the status changes nothing', async () => {
  const url = await emptyDatabase();
  const { db } = connect({ url });
  const status = await migrationStatus(db);
  expect(status).toEqual({ ...NO_FAULTS, applied: [], pending: released });
  expect(await tablesOf(url)).toEqual([]);
});

it('a migrated database has all migrations, and migrating again does nothing', async () => {
  const url = await emptyDatabase();
  expect(await migrate({ url })).toEqual(released);
  const { db } = connect({ url });
  expect(await migrationStatus(db)).toEqual({ ...NO_FAULTS, applied: released });
  expect(await migrate({ url })).toEqual([]);
});

it('a pending migration is reported by name and applied', async () => {
  const url = await emptyDatabase();
  await migrate({ url });
  const { folder, add } = await copyOfMigrations();
  await add('9003_later', 'create table later (n int);', 1);
  const { db } = connect({ url });
  expect(await migrationStatus(db, { folder })).toEqual({
    ...NO_FAULTS,
    applied: released,
    pending: ['9003_later'],
  });
  expect(await migrate({ url }, { folder })).toEqual(['9003_later']);
  expect(await tablesOf(url)).toContain('later');
});

describe('migrate applies nothing and names the migration when', () => {
  const faults = {
    edited: async ({ write }: Awaited<ReturnType<typeof copyOfMigrations>>) => {
      await write(second, 'select 1;');
      return { applied: others, edited: [second] };
    },
    missing: async ({ changeJournal }: Awaited<ReturnType<typeof copyOfMigrations>>) => {
      let when = 0;
      await changeJournal((entries) => {
        when = entries[1]!.when;
        return entries.filter(({ tag }) => tag !== second);
      });
      return {
        applied: others,
        missing: [`stamped ${new Date(when).toISOString()}`],
      };
    },
    late: async ({ add }: Awaited<ReturnType<typeof copyOfMigrations>>) => {
      await add('9003_branch', 'create table branch (n int);', -1);
      return { applied: released, late: ['9003_branch'] };
    },
  };

  it.each(Object.keys(faults) as (keyof typeof faults)[])('one is %s', async (fault) => {
    const url = await emptyDatabase();
    await migrate({ url });
    const tables = await tablesOf(url);
    const copy = await copyOfMigrations();
    const found = await faults[fault](copy);
    await copy.add('0009_fine', 'create table fine (n int);', 1);
    const status = { ...NO_FAULTS, ...found, pending: ['0009_fine'] };

    const { db } = connect({ url });
    expect(await migrationStatus(db, { folder: copy.folder })).toEqual(status);
    const refused = await migrate({ url }, { folder: copy.folder }).catch(
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(MigrationError);
    expect(refused).toMatchObject({ status });
    expect((refused as Error).message).toContain(
      `${fault}: ${(found as Record<string, string[]>)[fault]![0]}`,
    );
    expect(await tablesOf(url)).toEqual(tables);
    expect(await connectPlainly(url)`select from projects_service_migrations`).toHaveLength(
      released.length,
    );
  });
});

it.each([
  [
    'a version from before the first release',
    'alter table projects_service_migrations rename to x',
  ],
  ['another application', 'drop table projects_service_migrations, changes cascade'],
])('tables of %s are refused by name with the remedy', async (_of, change) => {
  const url = await emptyDatabase();
  await migrate({ url });
  await connectPlainly(url).unsafe(change);
  const tables = await tablesOf(url);
  const refused = await migrate({ url }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(MigrationError);
  expect((refused as MigrationError).status).toMatchObject({ applied: [], pending: released });
  expect((refused as MigrationError).message).toMatch(
    /unrecorded tables: .*projects.*another application.*search_path=.*before the first release.*export/,
  );
  expect(await tablesOf(url)).toEqual(tables);
});

it.each(['LATIN1', 'SQL_ASCII'])('a database with the encoding %s is refused', async (encoding) => {
  const server = connectPlainly(process.env.TEST_DATABASE_URL!);
  const name = `encoded_${encoding.toLowerCase()}_${process.pid}`;
  await server.unsafe(`
    create database ${name} template template0 encoding '${encoding}' locale_provider libc locale 'C'`);
  atEnd(() => server.unsafe(`drop database ${name} with (force)`));
  const url = new URL(process.env.TEST_DATABASE_URL!);
  url.pathname = name;
  await expect(migrate({ url: url.href })).rejects.toThrow(
    new RegExp(`"${name}" has the encoding ${encoding}; .*UTF8.*template0.*pg_dump`),
  );
  expect(await tablesOf(url.href)).toEqual([]);
});

it('a failed migration leaves nothing behind, and neither do the ones before it', async () => {
  const url = await emptyDatabase();
  const { folder, add } = await copyOfMigrations();
  await add('9003_fine', 'create table fine (n int);', 1);
  await add(
    '9004_broken',
    'create table half (n int);\n--> statement-breakpoint\nselect 1 / 0;',
    2,
  );
  await expect(migrate({ url }, { folder })).rejects.toThrow(
    'The migration 9004_broken failed: division by zero (22012).',
  );
  expect(await tablesOf(url)).toEqual([]);
  expect(await migrate({ url })).toEqual(released);
});
