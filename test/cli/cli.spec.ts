import { type ChildProcess, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import {
  chmod,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { gunzipSync, gzipSync } from 'node:zlib';
import { jest } from '@jest/globals';
import { sql } from 'drizzle-orm';
import { LIMITS } from '../../src/cli/files.js';
import { startProgress } from '../../src/cli/progress.js';
import { createDatabaseConnection } from '../../src/db/connection.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { forTransfer } from '../../src/entities/transfer/limits.js';
import { aProject } from '../support/builders.js';
import { built } from '../support/built.js';
import { sleep, until } from '../support/connections.js';
import { collector, type CommandResult, MAIN, runCli, spawnCli, startCli } from '../support/cli.js';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../support/database.js';
import { insertLarge, onDatabase } from '../support/transfer.js';

beforeAll(() => built());

let database: TestDatabase;
afterEach(() => database.drop());

describe('a command on the database', () => {
  beforeEach(async () => (database = await createEmptyDatabase()));

  it('shows pending migrations, applies them, and then shows that all are applied', async () => {
    const before = await cli('status');
    expect(before).toMatchObject({ status: 1, stderr: '' });
    expect(before.stdout).toMatch(/^applied: none\npending: 0000_table_functions, 0001_tables,/);

    expect((await cli('migrate')).stdout).toMatch(/^applied 0000_table_functions, 0001_tables,/);
    expect((await cli('migrate')).stdout).toBe('nothing to apply\n');
    const after = await cli('status');
    expect(after).toMatchObject({ status: 0, stderr: '' });
    expect(after.stdout).toMatch(/^applied: 0000_table_functions, [^:]*\n$/);
  });

  it('seeds a catalogue, and changes nothing the second time', async () => {
    expect((await cli('seed')).stdout).toBe('30 projects created, 0 existed already\n');
    const seeded = await allProjects();
    expect((await cli('seed')).stdout).toBe('0 projects created, 30 existed already\n');
    expect(await allProjects()).toEqual(seeded);
  });

  it('reports in one line, without a stack, that the database cannot be reached', () => {
    const variables = { DATABASE_URL: 'postgres://127.0.0.1:1/nowhere' };
    expect(spawnCli(['status'], { variables })).toEqual({
      status: 1,
      stdout: '',
      stderr: expect.stringMatching(/^[^\n]*(cannot be reached|ECONNREFUSED)[^\n]*\n$/),
    });
  });

  it('reports every fault of the environment and exits with 78', () => {
    const variables = { DATABASE_URL: 'mysql://127.0.0.1/x', PORT: 'x' };
    const failed = spawnCli(['status'], { variables });
    expect(failed.status).toBe(78);
    expect(failed.stderr).toContain('DATABASE_URL');
    expect(failed.stderr).toContain('PORT');
  });
});

function cli(...words: string[]): Promise<CommandResult> {
  return cliWith('', ...words);
}

function cliWith(input: string, ...words: string[]): Promise<CommandResult> {
  return runCli(words, { variables: environment(), input });
}

function start(...words: string[]) {
  return startCli(words, environment());
}

function environment() {
  return { DATABASE_URL: database.url };
}

async function allProjects() {
  const { db, close } = createDatabaseConnection({ url: database.url });
  try {
    return await createProjectsFactory(db).getAllProjects(1000);
  } finally {
    await close();
  }
}

describe('files of commands', () => {
  const rows = [
    { ...aProject({ name: 'One', description: '=1+1' }), version: 3 },
    aProject({ name: 'Two', technologies: [] }),
  ];
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'projects-service-files-'));
    database = await createTestDatabase();
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function file(name: string, content: string | Buffer): Promise<string> {
    await writeFile(path.join(folder, name), content);
    return path.join(folder, name);
  }

  const lines = (...values: unknown[]) => values.map((row) => `${JSON.stringify(row)}\n`).join('');

  it('are imported and exported by name, compressed or not, with equal content', async () => {
    expect(await cli('import', await file('a.ndjson', lines(...rows)))).toEqual({
      status: 0,
      stdout: '2 created, 0 replaced, 0 unchanged, 0 refused\n',
      stderr: '',
    });
    const before = await allProjects();
    for (const name of ['b.ndjson', 'b.csv', 'c.csv.gz']) {
      const target = path.join(folder, name);
      expect(await cli('export', target)).toEqual({
        status: 0,
        stdout: '',
        stderr: '2 projects exported\n',
      });
      await onDatabase(database.url, (sql) => sql`truncate projects`);
      const packed = name.endsWith('.gz')
        ? target
        : await file(`${name}.gz`, gzipSync(await readFile(target)));
      expect((await cli('import', packed)).stdout).toMatch(/^2 created/);
      expect((await cli('import', target)).stdout).toMatch(/ 2 unchanged/);
      expect(await allProjects()).toEqual(before);
    }
    expect((await readdir(folder)).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('may be the standard input and output, with the filters of the list', async () => {
    expect((await cliWith(lines(...rows), 'import', '-')).stdout).toMatch(/^2 created/);
    const csv = await cli('export', '--format', 'csv', '--q', 'one');
    expect(csv.stdout.split('\r\n')).toEqual([
      'id,name,description,technologies,createdAt,updatedAt,version',
      expect.stringMatching(/^[0-9a-f-]{36},"One","'=1\+1","\[""TypeScript"", ""PostgreSQL""\]",/),
      '',
    ]);
    const sorted = await cli(
      'export',
      '-',
      '--technology',
      'TypeScript',
      '--technology',
      'PostgreSQL',
      '--sort',
      'name',
    );
    expect(sorted.stdout).toMatch(/^\{"id":"[^"]+","name":"One"[^\n]*\n$/);
    const wrong = await cli('export', '--sort', 'size');
    expect(wrong).toMatchObject({ status: 1, stdout: '' });
    expect(wrong.stderr).toMatch(/sort must be one of/);
  });

  it('with refused rows are not imported and give exit code 1, unless these rows are skipped', async () => {
    const name = await file('a.ndjson', `${lines(rows[0])}{"name":""}\nnonsense\n`);
    const refused = [
      'line 2: name must be text of 1 to 255 characters',
      'line 2: description must be text of 0 to 20000 characters',
      'line 2: technologies must be a list',
      'line 3: is not valid JSON',
      '',
    ].join('\n');
    expect(await cli('import', name)).toEqual({
      status: 1,
      stdout: '',
      stderr: `${refused}2 of 3 rows were refused, so nothing was written.\n`,
    });
    const counts = '1 created, 0 replaced, 0 unchanged, 2 refused\n';
    expect(await cli('import', name, '--dry-run')).toEqual({
      status: 1,
      stdout: counts,
      stderr: refused,
    });
    expect(await allProjects()).toEqual([]);
    expect(await cli('import', name, '--on-error', 'skip')).toEqual({
      status: 0,
      stdout: counts,
      stderr: refused,
    });
    expect(await allProjects()).toHaveLength(1);
  });

  it('that cannot be read, or are incomplete, are reported in one line', async () => {
    expect(await cli('import', path.join(folder, 'none'))).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^ENOENT[^\n]*\n$/),
    });
    const packed = gzipSync(lines(...rows));
    const cut = await file('a.ndjson.gz', packed.subarray(0, -5));
    expect(await cli('import', cut)).toMatchObject({
      status: 1,
      stderr: 'unexpected end of file\n',
    });
    const header = await file('a.csv', 'name,colour\n');
    expect((await cli('import', header)).stderr).toMatch(/colour there is no such column/);
    expect(await allProjects()).toEqual([]);
  });

  async function interrupt(child: ChildProcess, signal: NodeJS.Signals) {
    child.kill(signal);
    return (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  }

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('are not left incomplete when %s interrupts a command', async (signal, exitCode) => {
    const importing = start('import', '-');
    importing.stdin
      .on('error', () => {})
      .write(lines(...Array.from({ length: 5000 }, () => aProject())));
    await until(async () => (await transactions()) === 1);
    const said = text(importing.stderr);
    expect(await interrupt(importing, signal)).toEqual([exitCode, null]);
    expect(await said).toBe('Interrupted.\n');
    expect(await allProjects()).toEqual([]);

    await insertLarge(database.url, 500);
    const exporting = start('export', path.join(folder, 'out.ndjson'));
    await until(
      async () => (await readdir(folder)).some((name) => name.includes('partial')),
      10_000,
    );
    const [code] = await interrupt(exporting, signal);
    // The command may have finished before the signal.
    expect(await readdir(folder)).toEqual(code === 0 ? ['out.ndjson'] : []);
    expect([0, exitCode]).toContain(code);
  });

  it('leave no embedded PostgreSQL running when a command is interrupted', async () => {
    await chmod(folder, 0o755);
    const variables = { DATABASE_URL: '', EMBEDDED_POSTGRES_DIR: path.join(folder, 'postgres') };
    const importing = startCli(['import', '-'], variables);
    const pidFile = path.join(folder, 'postgres/data/postmaster.pid');
    await until(() => existsSync(pidFile));
    expect(await interrupt(importing, 'SIGINT')).toEqual([130, null]);
    expect(existsSync(pidFile)).toBe(false);
  }, 60_000);

  it('leave no embedded PostgreSQL running when standard error cannot be written', async () => {
    await chmod(folder, 0o755);
    const variables = { DATABASE_URL: '', EMBEDDED_POSTGRES_DIR: path.join(folder, 'postgres') };
    const importing = startCli(['import', '-', '--on-error', 'skip'], variables);
    importing.stderr.destroy();
    importing.stdin.end('{"name":1}\n');
    const [said, ended] = await Promise.all([text(importing.stdout), once(importing, 'exit')]);
    expect([said, ended]).toEqual([expect.stringContaining('1 refused'), [1, null]]);
    expect(existsSync(path.join(folder, 'postgres/data/PG_VERSION'))).toBe(true);
    expect(existsSync(path.join(folder, 'postgres/data/postmaster.pid'))).toBe(false);
  }, 60_000);

  it('keep their permissions when an export replaces them, and are named after repeated options', async () => {
    await cliWith(lines(...rows), 'import', '-');
    const target = await file('out.ndjson', 'before');
    await chmod(target, 0o640);
    const exported = await cli('export', '--technology', 'TypeScript', target);
    expect(exported).toEqual({ status: 0, stdout: '', stderr: '1 projects exported\n' });
    expect(await readFile(target, 'utf8')).toMatch(/^\{"id":"[^"]+","name":"One"[^\n]*\n$/);
    expect((await stat(target)).mode & 0o777).toBe(0o640);
    const any = await cli(
      'export',
      '--any-technology',
      'C',
      '--any-technology',
      'PostgreSQL',
      target,
    );
    expect(any.stderr).toBe('1 projects exported\n');
    expect(await cli('export', '--technology', 'A', target, 'more')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('too many arguments'),
    });
  });

  it('with control characters show them escaped, on standard error and on a terminal', async () => {
    const escape = '\u001b[31m\u009b2J\u202e';
    const shown = '\\u001b[31m\\u009b2J\\u202e';
    const field = `col${escape}\nline 9: forged`;
    const { stderr } = await cli(
      'import',
      await file('a.ndjson', lines({ ...rows[1], [field]: 1 })),
    );
    expect(stderr).toContain(`line 1: col${shown}\\u000aline 9: forged `);
    expect((await cli('import', await file('a.csv', `"${escape}"\n1\n`))).stderr).toContain(shown);
    expect((await cli('import', path.join(folder, escape))).stderr).toContain(`${shown}'`);

    await cliWith(lines({ ...rows[1], name: escape }), 'import', '-');
    expect((await cli('export', '--format', 'csv')).stdout).toContain(`"${escape}"`);
    const terminal = onTerminal('export', '--format', 'csv');
    expect(terminal).toContain(`"${shown}"`);
    expect(terminal).not.toContain('\u001b[31m');
  });

  it.each([
    ['a pipe without a reader', '| true', 'The program that reads the output has ended.\n'],
    ['a closed output', '>&-', 'The standard output is closed.\n'],
    ['a full device', '>/dev/full', expect.stringContaining('ENOSPC')],
  ])('that go to %s are not reported as exported', (_what, redirection, said) => {
    const { status, stderr } = shell(`"$@" export --format csv ${redirection}`);
    expect({ status, stderr }).toEqual({ status: 1, stderr: said });
  });

  it('cause an error when the report about them cannot be written', () => {
    for (const redirection of ['| true', '>/dev/full'])
      expect(shell(`"$@" status ${redirection}`).status).toBe(1);
  });

  function shell(script: string) {
    const command = ['--norc', '-c', `set -o pipefail; ${script}`, 'bash', process.execPath, MAIN];
    return spawnSync('bash', command, {
      env: environment(),
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  it('that are pipes, devices or links are written without being replaced', async () => {
    await cliWith(lines(...rows), 'import', '-');
    const { stdout: whole } = await cli('export');
    const target = await file('target.ndjson', 'before');
    const link = path.join(folder, 'link');
    await symlink('target.ndjson', link);
    const dangling = path.join(folder, 'dangling');
    await symlink('new.ndjson', dangling);
    // The test uses a link, so that a failure cannot replace the device itself.
    const device = path.join(folder, 'device');
    await symlink('/dev/null', device);
    for (const name of [link, dangling, device]) expect((await cli('export', name)).status).toBe(0);
    expect(await readlink(link)).toBe('target.ndjson');
    expect(await readFile(target, 'utf8')).toBe(whole);
    expect(await readFile(path.join(folder, 'new.ndjson'), 'utf8')).toBe(whole);
    expect(await readlink(device)).toBe('/dev/null');

    const pipe = path.join(folder, 'pipe.ndjson.gz');
    spawnSync('mkfifo', [pipe]);
    const exporting = start('export', pipe);
    const [packed] = await Promise.all([readFile(pipe), once(exporting, 'exit')]);
    expect(gunzipSync(packed).toString()).toBe(whole);
    expect((await stat(pipe)).isFIFO()).toBe(true);
  });

  it('that are pipes without a reader are abandoned at the second Ctrl-C', async () => {
    const pipe = path.join(folder, 'pipe');
    spawnSync('mkfifo', [pipe]);
    const exporting = start('export', pipe);
    const ended = once(exporting, 'exit');
    await opensPipe(exporting.pid!);
    while (exporting.exitCode === null && exporting.signalCode === null) {
      exporting.kill('SIGINT'); // a second signal shortly after the first counts as the same one
      await sleep(100);
    }
    expect(await ended).toEqual([null, 'SIGINT']);
  });

  /** Resolves when a thread waits in the system for the other end of a pipe. */
  async function opensPipe(pid: number): Promise<void> {
    const threads = () => readdirSync(`/proc/${pid}/task`);
    const waitOf = (thread: string) => readFileSync(`/proc/${pid}/task/${thread}/wchan`, 'utf8');
    const isShown = () => threads().some((thread) => !['', '0'].includes(waitOf(thread)));
    if (!isShown()) return await sleep(2000); // where the kernel hides it
    await until(() => threads().some((thread) => waitOf(thread) === 'wait_for_partner'));
  }

  it('may wait for a slow reader or writer without a limit', async () => {
    const { db, close } = createDatabaseConnection({ url: database.url });
    const limits = await forTransfer(db, LIMITS).transaction((tx) =>
      tx.execute(sql`show idle_in_transaction_session_timeout`),
    );
    expect(limits[0]).toEqual({ idle_in_transaction_session_timeout: '0' });
    await close();
  });

  it('whose reader stops early, as in a pipe to head, end with a message', async () => {
    await insertLarge(database.url, 500);
    const exporting = start('export');
    const said = text(exporting.stderr);
    await once(exporting.stdout, 'data');
    exporting.stdout.destroy();
    expect(await once(exporting, 'exit')).toEqual([1, null]);
    expect(await said).toBe('The program that reads the output has ended.\n');
  });

  it('show their progress outside a terminal as a line every five seconds', () => {
    let seconds = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => seconds * 1000);
    const errors = collector();
    const progress = startProgress(errors.stream);
    for (; seconds <= 12; seconds++) progress.show(seconds * 1000);
    progress.stop();
    clock.mockRestore();
    expect(errors.text()).toBe('5,000 rows, 1,000 rows/s\n10,000 rows, 1,000 rows/s\n');
  });

  it('are imported and exported by the built program with the same rules', () => {
    const variables = environment();
    const refused = spawnCli(['import', '-'], {
      variables,
      input: `${lines(rows[0])}{"name":1}\n`,
    });
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/^line 2: name must be text of 1 to 255 characters\n/);
    const imported = spawnCli(['import', '-'], { variables, input: lines(...rows) });
    expect(imported.stdout).toMatch(/^2 created/);
    const exported = spawnCli(['export', '--technology', 'TypeScript'], { variables });
    expect(exported.stdout).toMatch(/^\{"id":"[^"]+","name":"One"[^\n]*\n$/);
    const wrong = spawnCli(['export', '--sort', 'size'], { variables });
    expect(wrong).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('sort must be one of'),
    });
  });

  it.each(['migrate', 'status', 'seed', 'import', 'export'])(
    'and %s load neither Nest nor the documentation of the routes',
    async (command) => {
      const coverage = path.join(folder, 'coverage');
      const variables = { ...environment(), NODE_V8_COVERAGE: coverage };
      const words = command === 'import' ? [command, '-'] : [command];
      expect(spawnCli(words, { variables, input: lines(...rows) }).status).toBe(0);
      const packages = await packagesIn(await loadedScripts(coverage));
      expect(packages).toContain('drizzle-orm');
      const nest = packages.filter((name) => /nest|express|swagger|rxjs/.test(name));
      expect(nest).toEqual(['@nestjs/mapped-types']); // the rules of DTO classes, which load nothing of Nest
    },
  );

  async function loadedScripts(coverage: string): Promise<string[]> {
    const [report] = await readdir(coverage);
    const { result } = JSON.parse(await readFile(path.join(coverage, report!), 'utf8')) as {
      result: { url: string }[];
    };
    return result.map(({ url }) => url).filter((url) => url.startsWith('file:'));
  }

  /** The packages of scripts, also bundled ones: the bundle names the file of each part. */
  async function packagesIn(urls: string[]): Promise<string[]> {
    const texts = await Promise.all(urls.map((url) => readFile(fileURLToPath(url), 'utf8')));
    const parts = [
      ...urls,
      ...texts.flatMap((code) => code.match(/^ *\/\/ node_modules\/.*/gm) ?? []),
    ];
    const names = parts.map((part) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(part)?.[1]);
    return [...new Set(names.filter((name) => name !== undefined))].sort();
  }

  async function transactions(): Promise<number> {
    return await onDatabase(database.url, async (sql) => {
      const open = await sql`select from pg_stat_activity where datname = current_database()
        and xact_start is not null and pid <> pg_backend_pid() and backend_type = 'client backend'`;
      return open.length;
    });
  }

  it('show their progress and the remaining time on a terminal', async () => {
    const name = await file('a.ndjson', lines(...Array.from({ length: 3000 }, () => aProject())));
    const all = /100 % \| \S+ left \| 3,000 rows \| [\d,]+ rows\/s/;
    const imported = onTerminal('import', name);
    expect(imported).toMatch(all);
    expect(imported).toMatch(/3000 created/);
    const exported = onTerminal('export', path.join(folder, 'b.csv'), '--technology', 'TypeScript');
    expect(exported).toMatch(all);
    expect(exported).toMatch(/3000 projects exported/);
  });

  function onTerminal(...words: string[]): string {
    const command = [process.execPath, MAIN, ...words].join(' ');
    const shown = spawnSync('script', ['-qec', command, '/dev/null'], {
      env: environment(),
      encoding: 'utf8',
    });
    return shown.stdout;
  }
});
