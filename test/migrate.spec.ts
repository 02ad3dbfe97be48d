import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { migrate, MigrationError, migrationStatus } from '../src/db/migrate.js';
import { atEnd, connect, connectPlainly, endEachTest } from './support/connections.js';
import { createEmptyDatabase } from './support/database.js';

const ROOT = path.resolve(import.meta.dirname, '..');
const MIGRATIONS = path.join(ROOT, 'src/db/migrations');
const journal = JSON.parse(readFileSync(path.join(MIGRATIONS, 'meta/_journal.json'), 'utf8')) as {
  entries: { tag: string }[];
};
const released = journal.entries.map(({ tag }) => tag);
const second = released[1]!;
const others = released.filter((tag) => tag !== second);

endEachTest();

async function emptyDatabase(): Promise<string> {
  const database = await createEmptyDatabase();
  atEnd(() => database.drop());
  return database.url;
}

interface Journal {
  entries: { idx: number; version: string; when: number; tag: string; breakpoints: boolean }[];
}

/** A copy of the migrations of this code, to be changed. */
async function copyOfMigrations() {
  const folder = await mkdtemp(path.join(tmpdir(), 'migrations-'));
  atEnd(() => rm(folder, { recursive: true }));
  await cp(MIGRATIONS, folder, { recursive: true });
  const journalFile = path.join(folder, 'meta/_journal.json');
  const changeJournal = async (change: (entries: Journal['entries']) => Journal['entries']) => {
    const journal = JSON.parse(await readFile(journalFile, 'utf8')) as Journal;
    journal.entries = change(journal.entries);
    await writeFile(journalFile, JSON.stringify(journal));
  };
  return {
    folder,
    changeJournal,
    write: (tag: string, statements: string) =>
      writeFile(path.join(folder, `${tag}.sql`), statements),
    /** Adds a migration, stamped so long after the last one of this code; before it if negative. */
    add: async (tag: string, statements: string, afterMs: number) => {
      await writeFile(path.join(folder, `${tag}.sql`), statements);
      await changeJournal((entries) => {
        const last = entries.at(-1)!;
        const added = { ...last, idx: entries.length, tag, when: last.when + afterMs };
        return [...entries, added].sort((a, b) => a.when - b.when);
      });
    },
  };
}

async function tablesOf(url: string): Promise<string[]> {
  const rows = await connectPlainly(url)`
    select table_name as name from information_schema.tables
    where table_schema not in ('pg_catalog', 'information_schema') order by table_name`;
  return rows.map((row) => row.name as string);
}

const NOTHING = { applied: [], pending: [], edited: [], missing: [], late: [] };

it('eight processes that start at once on an empty database all succeed, and each migration is applied once', async () => {
  const url = await emptyDatabase();
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
  expect(await client`select from drizzle.__drizzle_migrations`).toHaveLength(released.length + 2);
});

it('the status of a database that was never migrated is that all is pending, and asking changes nothing', async () => {
  const url = await emptyDatabase();
  const { db } = connect({ url });
  const status = await migrationStatus(db);
  expect(status).toEqual({ ...NOTHING, pending: released });
  expect(await tablesOf(url)).toEqual([]);
});

it('a migrated database has everything applied, and migrating it again does nothing', async () => {
  const url = await emptyDatabase();
  expect(await migrate({ url })).toEqual(released);
  const { db } = connect({ url });
  expect(await migrationStatus(db)).toEqual({ ...NOTHING, applied: released });
  expect(await migrate({ url })).toEqual([]);
});

it('a pending migration is told by name and applied', async () => {
  const url = await emptyDatabase();
  await migrate({ url });
  const { folder, add } = await copyOfMigrations();
  await add('9003_later', 'create table later (n int);', 1);
  const { db } = connect({ url });
  expect(await migrationStatus(db, folder)).toEqual({
    ...NOTHING,
    applied: released,
    pending: ['9003_later'],
  });
  expect(await migrate({ url }, { folder })).toEqual(['9003_later']);
  expect(await tablesOf(url)).toContain('later');
});

describe('nothing is applied, and the migration is told by name, when', () => {
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
    const status = { ...NOTHING, ...found, pending: ['0009_fine'] };

    const { db } = connect({ url });
    expect(await migrationStatus(db, copy.folder)).toEqual(status);
    const refused = await migrate({ url }, { folder: copy.folder }).catch(
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(MigrationError);
    expect(refused).toMatchObject({ status });
    expect((refused as Error).message).toContain(
      `${fault}: ${(found as Record<string, string[]>)[fault]![0]}`,
    );
    expect(await tablesOf(url)).toEqual(tables);
    expect(await connectPlainly(url)`select from drizzle.__drizzle_migrations`).toHaveLength(
      released.length,
    );
  });
});

it('a database from before the first release is refused, and the way out is told', async () => {
  const url = await emptyDatabase();
  const client = connectPlainly(url);
  await migrate({ url });
  await client`
    update drizzle.__drizzle_migrations set created_at = created_at - 1795369884891, hash = 'other'`;
  await client`drop table projects cascade`;
  const refused = await migrate({ url }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(MigrationError);
  expect((refused as MigrationError).status).toMatchObject({ applied: [], pending: released });
  expect((refused as MigrationError).message).toMatch(
    /missing: stamped \S+ \(by a version from before the first release; export its projects with that version and import them into a new database\)/,
  );
  expect(await tablesOf(url)).not.toContain('projects');
});

it('a migration that fails leaves nothing behind, nor do those before it', async () => {
  const url = await emptyDatabase();
  const { folder, add } = await copyOfMigrations();
  await add('9003_fine', 'create table fine (n int);', 1);
  await add(
    '9004_broken',
    'create table half (n int);\n--> statement-breakpoint\nselect 1 / 0;',
    2,
  );
  await expect(migrate({ url }, { folder })).rejects.toMatchObject({ cause: { code: '22012' } });
  expect(await tablesOf(url)).toEqual([]);
  expect(await migrate({ url })).toEqual(released);
});
