import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { createDatabaseConnection } from '../src/db/connection.js';
import { createProjectsFactory } from '../src/db/factories/projects.factory.js';
import { aProject } from './support/builders.js';
import { until } from './support/connections.js';
import { createEmptyDatabase, type TestDatabase } from './support/database.js';
import { onDatabase } from './support/transfer.js';

const MAIN = 'dist/cli/main.js';

let database: TestDatabase;
beforeEach(async () => (database = await createEmptyDatabase()));
afterEach(() => database.drop());

it('tells what is pending, applies it, and tells that all is well', () => {
  const before = cli('status');
  expect(before).toMatchObject({ status: 1, stderr: '' });
  expect(before.stdout).toMatch(/^applied: none\npending: 0000_functions, 0001_projects,/);

  expect(cli('migrate').stdout).toMatch(/^applied 0000_functions, 0001_projects,/);
  expect(cli('migrate').stdout).toBe('nothing to apply\n');
  const after = cli('status');
  expect(after).toMatchObject({ status: 0, stderr: '' });
  expect(after.stdout).toMatch(/^applied: 0000_functions, [^:]*\n$/);
});

it('seeds a catalogue, and a second time changes nothing', async () => {
  expect(cli('seed').stdout).toBe('30 projects created, 0 were there\n');
  const seeded = await allProjects();
  expect(cli('seed').stdout).toBe('0 projects created, 30 were there\n');
  expect(await allProjects()).toEqual(seeded);
});

it('tells in one line, without a stack, that the database cannot be reached', () => {
  expect(status({ DATABASE_URL: 'postgres://127.0.0.1:1/nowhere' })).toEqual({
    status: 1,
    stderr: expect.stringMatching(/^[^\n]*(cannot be reached|ECONNREFUSED)[^\n]*\n$/),
  });
});

it('tells every fault of the environment and exits with 78', () => {
  const failed = status({ DATABASE_URL: 'mysql://127.0.0.1/x', PORT: 'x' });
  expect(failed.status).toBe(78);
  expect(failed.stderr).toContain('DATABASE_URL');
  expect(failed.stderr).toContain('PORT');
});

function cli(...words: string[]) {
  return cliWith('', ...words);
}

function cliWith(input: string, ...words: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], {
    env: environment(),
    encoding: 'utf8',
    input,
  });
  return { status, stdout, stderr };
}

function start(...words: string[]) {
  return spawn(process.execPath, [MAIN, ...words], { env: environment() });
}

function environment(variables: Record<string, string> = {}) {
  return { PATH: process.env.PATH, DATABASE_URL: database.url, ...variables };
}

/** With other variables. */
function status(variables: Record<string, string>) {
  const { status: code, stderr } = spawnSync(process.execPath, [MAIN, 'status'], {
    env: environment(variables),
    encoding: 'utf8',
  });
  return { status: code, stderr };
}

async function allProjects() {
  const { db, close } = createDatabaseConnection({ url: database.url });
  try {
    return await createProjectsFactory(db).getAllProjects(1000);
  } finally {
    await close();
  }
}

describe('files', () => {
  const rows = [
    { ...aProject({ name: 'One', description: '=1+1' }), version: 3 },
    aProject({ name: 'Two', technologies: [] }),
  ];
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'projects-service-files-'));
    cli('migrate');
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function file(name: string, content: string | Buffer): Promise<string> {
    await writeFile(path.join(folder, name), content);
    return path.join(folder, name);
  }

  const lines = (...values: unknown[]) => values.map((row) => `${JSON.stringify(row)}\n`).join('');

  it('are imported and exported by their names, packed or not, and come back the same', async () => {
    expect(cli('import', await file('a.ndjson', lines(...rows)))).toEqual({
      status: 0,
      stdout: '2 created, 0 replaced, 0 unchanged, 0 refused\n',
      stderr: '',
    });
    const before = await allProjects();
    for (const name of ['b.ndjson', 'b.csv', 'c.csv.gz']) {
      const target = path.join(folder, name);
      expect(cli('export', target)).toEqual({
        status: 0,
        stdout: '',
        stderr: '2 projects exported\n',
      });
      await onDatabase(database.url, (sql) => sql`truncate projects`);
      const packed = name.endsWith('.gz')
        ? target
        : await file(`${name}.gz`, gzipSync(await readFile(target)));
      expect(cli('import', packed).stdout).toMatch(/^2 created/);
      expect(cli('import', target).stdout).toMatch(/ 2 unchanged/);
      expect(await allProjects()).toEqual(before);
    }
    expect((await readdir(folder)).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('may be the standard input and output, with the filters of the list', () => {
    expect(cliWith(lines(...rows), 'import', '-').stdout).toMatch(/^2 created/);
    const csv = cli('export', '--format', 'csv', '--q', 'one');
    expect(csv.stdout.split('\r\n')).toEqual([
      'id,name,description,technologies,createdAt,updatedAt,version',
      expect.stringMatching(/^[0-9a-f-]{36},"One","'=1\+1","\[""TypeScript"", ""PostgreSQL""\]",/),
      '',
    ]);
    const sorted = cli('export', '-', '--technology', 'TypeScript', 'PostgreSQL', '--sort', 'name');
    expect(sorted.stdout).toMatch(/^\{"id":"[^"]+","name":"One"[^\n]*\n$/);
    const wrong = cli('export', '--sort', 'size');
    expect(wrong).toMatchObject({ status: 1, stdout: '' });
    expect(wrong.stderr).toMatch(/sort must be one of/);
  });

  it('with rows that are refused leave nothing and exit with 1, unless they are to be skipped', async () => {
    const name = await file('a.ndjson', `${lines(rows[0])}{"name":""}\nnonsense\n`);
    const refused = [
      'line 2: name must be text of 1 to 255 characters',
      'line 2: description must be text of 0 to 20000 characters',
      'line 2: technologies must be a list',
      'line 3: is not valid JSON',
      '',
    ].join('\n');
    expect(cli('import', name)).toEqual({
      status: 1,
      stdout: '',
      stderr: `${refused}2 of 3 rows were refused, so nothing was written.\n`,
    });
    const counts = '1 created, 0 replaced, 0 unchanged, 2 refused\n';
    expect(cli('import', name, '--dry-run')).toEqual({
      status: 1,
      stdout: counts,
      stderr: refused,
    });
    expect(await allProjects()).toEqual([]);
    expect(cli('import', name, '--on-error', 'skip')).toEqual({
      status: 0,
      stdout: counts,
      stderr: refused,
    });
    expect(await allProjects()).toHaveLength(1);
  });

  it('that cannot be read, or are cut short, are told in a line', async () => {
    expect(cli('import', path.join(folder, 'none'))).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^ENOENT[^\n]*\n$/),
    });
    const packed = gzipSync(lines(...rows));
    const cut = await file('a.ndjson.gz', packed.subarray(0, -5));
    expect(cli('import', cut)).toMatchObject({
      status: 1,
      stderr: 'unexpected end of file\n',
    });
    const header = await file('a.csv', 'name,colour\n');
    expect(cli('import', header).stderr).toMatch(/colour there is no such column/);
    expect(await allProjects()).toEqual([]);
  });

  it('that are interrupted by Ctrl-C leave nothing half done', async () => {
    const importing = start('import', '-');
    importing.stdin
      .on('error', () => {})
      .write(lines(...Array.from({ length: 5000 }, () => aProject())));
    await until(async () => (await transactions()) === 1, 10_000);
    const said = text(importing.stderr);
    importing.kill('SIGINT');
    expect(await once(importing, 'exit')).toEqual([130, null]);
    expect(await said).toBe('Interrupted.\n');
    expect(await allProjects()).toEqual([]);

    await onDatabase(
      database.url,
      (sql) => sql`insert into projects (name, description, technologies)
        select i, repeat('x', 20000), '[]' from generate_series(1, 5000) as i`,
    );
    const pipe = path.join(folder, 'out.ndjson');
    const exporting = start('export', pipe);
    await until(
      async () => (await readdir(folder)).some((name) => name.includes('partial')),
      10_000,
    );
    exporting.kill('SIGINT');
    const [code] = (await once(exporting, 'exit')) as [number | null];
    // It may have been faster than the signal.
    expect(await readdir(folder)).toEqual(code === 0 ? ['out.ndjson'] : []);
  });

  async function transactions(): Promise<number> {
    return await onDatabase(database.url, async (sql) => {
      const open = await sql`select from pg_stat_activity where datname = current_database()
        and xact_start is not null and pid <> pg_backend_pid()`;
      return open.length;
    });
  }

  it('show on a terminal how far they are and how much time is left', async () => {
    const name = await file('a.ndjson', lines(...Array.from({ length: 3000 }, () => aProject())));
    const command = `${process.execPath} dist/cli/main.js import ${name}`;
    const env = { PATH: process.env.PATH, DATABASE_URL: database.url };
    const onTerminal = spawnSync('script', ['-qec', command, '/dev/null'], {
      env,
      encoding: 'utf8',
    });
    expect(onTerminal.stdout).toMatch(/100 % \| \S+ left \| 3,000 rows \| [\d,]+ rows\/s/);
    expect(onTerminal.stdout).toMatch(/3000 created/);
  });
});
