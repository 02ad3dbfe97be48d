import { mkdir, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { openPrograms, type PostgresPrograms } from './binaries.js';
import { openCluster } from './cluster.js';
import { type Place, placeOf, SHARED_DIRECTORY } from './places.js';
import { explained } from './refused-access.js';
import { exclusively, hasUsers, identityOf, readIfAny, registerUse } from './users.js';

const START_TIMEOUT_MS = 60_000;
/** The time in which the children of a killed server may still hold its shared memory. */
const RETRY_MS = 5_000;
const POLL_MS = 20;
/** The error codes of a connection to a server that has just ended. */
const GONE = ['ECONNREFUSED', 'ECONNRESET', 'CONNECTION_CLOSED'];
/** A process id that no system uses. */
const NO_PROCESS = String(2 ** 31 - 1);

export interface EmbeddedPostgres {
  /** The URL of the database `projects` on 127.0.0.1, with its password. */
  readonly url: string;
  /** A message with the location of the files, if they could not be in the requested directory. */
  readonly notice?: string;
  /**
   * Ends this use. The stop of the last user also stops the server. The data are kept. It may be called several
   * times.
   */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** The directory of the files. It is created if it does not exist. */
  directory: string;
  /** The directory for the files if this process is root and the system user cannot reach `directory`. */
  shared?: string;
  /** Server settings such as `{ fsync: 'off' }` or `port`. A server that already runs keeps its settings. */
  settings?: Record<string, string>;
}

/**
 * Starts a real PostgreSQL for development and tests, on a free port, from the binaries of a development dependency.
 * Any number of callers and processes may share a directory: the first one starts the server and the last one stops
 * it. A killed process no longer counts. A server that outlived its users is reused, and a killed one is restarted.
 *
 * The directory contains `data/` (the cluster), `password` (0600), `postgres.log` (since the server's last start),
 * `users/` (a file for each use) and `lock.N`. `initdb-*` is a cluster whose creation did not finish.
 *
 * PostgreSQL does not run as root: for root it runs as the owner of `data/` or as the system user `postgres`. Files in
 * directories that this user cannot reach, such as the home of root, are kept in `shared`, and `notice` says so.
 *
 * Rejects with the reason that initdb or the server printed, if there is one.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  try {
    return await start(options);
  } catch (error) {
    throw await explained(error as Error, resolve(options.directory));
  }
}

async function start({
  directory: path,
  shared = SHARED_DIRECTORY,
  settings = {},
}: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const place = await placeOf(path, shared);
  await mkdir(join(place.directory, 'users'), { recursive: true });
  const directory = await realpath(place.directory);
  const programs = await openPrograms({ ...place, directory }, shared);
  const use = await registerUse(directory);
  try {
    const url = await exclusively(directory, use, async () => {
      const password = await openCluster(programs, directory, settings);
      return await openDatabase(password, () => runServer(programs, directory, settings));
    });
    let left: Promise<void> | undefined;
    const notice = noticeOf(resolve(path), place, programs);
    return { url, notice, stop: () => (left ??= endUse(programs, directory, use)) };
  } catch (error) {
    // The error of the start is more useful than an error of the stop.
    await endUse(programs, directory, use).catch(() => undefined);
    throw error;
  }
}

function noticeOf(
  wanted: string,
  { directory, user }: Place,
  { copiedTo }: PostgresPrograms,
): string | undefined {
  const moved = [
    directory !== wanted && `the files of ${wanted} are in ${directory}`,
    copiedTo !== undefined && `the programs are in ${copiedTo}`,
  ].filter(Boolean);
  if (moved.length === 0) return undefined;
  return `PostgreSQL runs as user ${user.uid}, which cannot enter all directories of root: ${moved.join(', ')}.`;
}

async function endUse(programs: PostgresPrograms, directory: string, use: string): Promise<void> {
  const ending = await registerUse(directory);
  await exclusively(directory, ending, async () => {
    await Promise.all([rm(use, { force: true }), rm(ending)]);
    const data = join(directory, 'data');
    if ((await hasUsers(directory)) || !(await findServer(data))) return;
    await programs.run('pg_ctl', ['stop', '-D', data, '-m', 'fast', '-w']);
  });
}

/** Starts the server of this directory unless it is running, and resolves with its port. */
async function runServer(
  programs: PostgresPrograms,
  directory: string,
  settings: Record<string, string>,
): Promise<number> {
  const data = join(directory, 'data');
  const log = join(directory, 'postgres.log');
  const began = Date.now();
  let child: Awaited<ReturnType<PostgresPrograms['serve']>> | undefined;
  while (Date.now() - began < START_TIMEOUT_MS) {
    const server = await findServer(data);
    if (server?.ready) return server.port;
    if (child && (child.exitCode ?? child.signalCode) !== null) {
      const reason = await lastLines(log);
      const mayPass = /shared memory|lock file|could not bind/.test(reason);
      if (!mayPass || Date.now() - began > RETRY_MS) throw notStarted(directory, reason);
      child = undefined;
    } else if (!server && !child) {
      await disownPidFile(data);
      child = await programs.serve(['-D', data, ...(await serverSettings(settings))], log);
    }
    await sleep(POLL_MS);
  }
  child?.kill('SIGQUIT');
  throw notStarted(directory, `it was not ready in time\n${await lastLines(log)}`);
}

function notStarted(directory: string, reason: string): Error {
  return new Error(`The embedded PostgreSQL in ${directory} did not start: ${reason}`);
}

async function lastLines(file: string): Promise<string> {
  const text = await readFile(file, 'utf8');
  return text.trim().split('\n').slice(-10).join('\n') || `${file} is empty`;
}

async function serverSettings(wanted: Record<string, string>): Promise<string[]> {
  const settings = {
    port: wanted.port ?? String(await freePort()),
    ...wanted,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    TimeZone: 'UTC',
    log_timezone: 'UTC',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Finds the running server of `data`, independent of the process that started it. */
async function findServer(data: string): Promise<{ port: number; ready: boolean } | undefined> {
  const lines = readIfAny(join(data, 'postmaster.pid'))?.split('\n') ?? [];
  const pid = Number(lines[0]);
  if (!pid || !identityOf(pid) || !(await worksIn(pid, data))) return undefined;
  return { port: Number(lines[3]), ready: lines[7]?.trim() === 'ready' };
}

/** Checks that the process works in `data`, as a server does. Only Linux shows this; elsewhere any live process counts. */
async function worksIn(pid: number, data: string): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const own = await stat(data);
  const seen = await stat(`/proc/${pid}/cwd`).catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? undefined : own,
  );
  return seen?.dev === own.dev && seen.ino === own.ino;
}

/**
 * Replaces the process id of a killed server in its pid file. Another program may have this id now, and PostgreSQL
 * would refuse to start. The rest of the file stays: the server needs it to find children of the killed one.
 */
async function disownPidFile(data: string): Promise<void> {
  const file = join(data, 'postmaster.pid');
  const text = readIfAny(file);
  if (text) await writeFile(file, text.replace(/^\d+/, NO_PROCESS));
}

/** Opens the database, and starts the server again if it has just ended: a server that was killed a moment ago may still look alive. */
async function openDatabase(password: string, run: () => Promise<number>): Promise<string> {
  const began = Date.now();
  for (;;) {
    const port = await run();
    try {
      return await ensureDatabase(`postgres://postgres:${password}@127.0.0.1:${port}`, 'projects');
    } catch (error) {
      const isGone = GONE.includes(String((error as { code?: unknown }).code));
      if (!isGone || Date.now() - began > RETRY_MS) throw error;
      await sleep(POLL_MS);
    }
  }
}

async function ensureDatabase(server: string, name: string): Promise<string> {
  const sql = postgres(`${server}/postgres`, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    const found = await sql`select 1 from pg_database where datname = ${name}`;
    if (found.length === 0) await sql`create database ${sql(name)}`;
    return `${server}/${name}`;
  } finally {
    await sql.end();
  }
}
