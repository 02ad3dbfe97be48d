import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { migrate } from '../../src/db/migrate.js';
import { atEnd, connectPlainly, endEachTest } from '../support/connections.js';
import { createEmptyDatabase } from '../support/database.js';

const ROOT = path.resolve(import.meta.dirname, '../..');

endEachTest();

async function migratedDatabase(root = ROOT) {
  const database = await createEmptyDatabase();
  atEnd(() => database.drop());
  await migrate({ url: database.url }, { folder: path.join(root, 'src/db/migrations') });
  return connectPlainly(database.url);
}

type Client = Awaited<ReturnType<typeof migratedDatabase>>;

/** Returns every function and trigger as PostgreSQL describes it, except those of extensions. */
async function definitionsOf(client: Client): Promise<{ name: string; sql: string }[]> {
  return await client`
    select proname as name, pg_get_functiondef(pg_proc.oid) as sql from pg_proc
    where pronamespace = current_schema()::regnamespace and not exists (
      select from pg_depend where objid = pg_proc.oid and deptype = 'e')
    union all
    select tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
    order by name, sql`;
}

/** Returns the names of the objects that `track_changes` creates for the tables in the files. */
function generatedNames(text: string): RegExp {
  const calls = [...text.matchAll(/track_changes\('(\w+)', '(\w+)'\)/g)];
  const names = calls.map(
    ([, table, entity]) => `${table}_(changes_\\w+|touch_row)|${entity}_document`,
  );
  return new RegExp(`^(${names.join('|')})$`);
}

/** Runs every file again, as a migration with these files would. */
async function applyFiles(client: Client, root = ROOT): Promise<string> {
  const folder = path.join(root, 'src/db/functions');
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = names
    .filter((name) => name.endsWith('.sql'))
    .map((name) => path.join(folder, name));
  const text = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
  await client.unsafe(
    `set client_min_messages = warning; set search_path = public, pg_temp; ${text}`,
  );
  return text;
}

it('a migrated database has exactly the functions and triggers of src/db/functions', async () => {
  const client = await migratedDatabase();
  const migrated = await definitionsOf(client);
  expect(migrated.length).toBeGreaterThan(20);
  const text = await applyFiles(client);
  expect(await definitionsOf(client)).toEqual(migrated);
  const generated = generatedNames(text);
  for (const { name } of migrated.filter(({ name }) => !generated.test(name)))
    expect(text).toMatch(new RegExp(`CREATE .*(FUNCTION|TRIGGER) ${name}\\b`));
});

describe('after a change to src/db/functions', () => {
  let copy: string;
  beforeEach(() => {
    mkdirSync(path.join(ROOT, '.data'), { recursive: true });
    copy = mkdtempSync(path.join(ROOT, '.data/functions-'));
    for (const part of ['src/db', 'scripts', 'package.json', 'tsconfig.json', 'drizzle.config.ts'])
      cpSync(path.join(ROOT, part), path.join(copy, part), { recursive: true });
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'));
  });
  afterEach(() => rmSync(copy, { recursive: true, force: true }));

  const check = () =>
    spawnSync(process.execPath, ['scripts/check-migrations.js'], { cwd: copy, encoding: 'utf8' });
  const generate = (name: string) =>
    execFileSync(process.execPath, ['scripts/generate-migrations.js', `--name=${name}`], {
      cwd: copy,
      stdio: 'pipe',
    });
  const functionFile = (name: string) => path.join(copy, 'src/db/functions', name);

  it('db:check fails and names the file until db:generate has written its migration', async () => {
    const added = functionFile('added_function.sql');
    const bodyOf = (text: string) =>
      `CREATE OR REPLACE FUNCTION added_function() RETURNS text LANGUAGE sql AS $$ SELECT '${text}' $$;\n`;
    writeFileSync(added, bodyOf('first'));
    expect(check()).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('added_function.sql'),
    });
    generate('first');
    expect(check()).toMatchObject({ status: 0, stderr: '' });

    writeFileSync(added, bodyOf('second'));
    appendFileSync(functionFile('before-tables/search_grams.sql'), '-- a comment\n');
    expect(check().stderr.match(/\S+\.sql differs/g)).toHaveLength(2);
    generate('second');
    const client = await migratedDatabase(copy);
    const migrated = await definitionsOf(client);
    expect(await client`select added_function()`).toEqual([{ added_function: 'second' }]);
    await applyFiles(client, copy);
    expect(await definitionsOf(client)).toEqual(migrated);

    rmSync(added);
    expect(check()).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('added_function.sql'),
    });
    generate('third');
    const names = (await definitionsOf(await migratedDatabase(copy))).map(({ name }) => name);
    expect(names).not.toContain('added_function');
  });
});
