import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { openPrograms, type PostgresPrograms } from '../../src/db/embedded/binaries.js';
import { openCluster } from '../../src/db/embedded/cluster.js';
import { placeOf } from '../../src/db/embedded/places.js';
import { until } from './connections.js';
import { freePort } from './free-port.js';

export type Member = 'primary' | 'standby' | 'second';

/**
 * A primary and its streaming standbys, from the embedded binaries. A member keeps its name after a promotion, and
 * each standby follows the current primary.
 */
export interface Cluster {
  /** The URL of the database `postgres` on each member, with the superuser and its password. */
  primary: string;
  standby: string;
  /** Only a cluster with two standbys has it. */
  second: string;
  /** Returns a URL with both hosts, in the given order. */
  both(first: Member, second: Member): string;
  /** Promotes a standby; resolves when it accepts writes. */
  promote(member?: Member): Promise<void>;
  /** Makes a stopped member a standby of `source`, from a copy of it, and starts it. */
  rebuild(member: Member, source: Member): Promise<void>;
  /** Makes each further commit on this primary wait for its standby. Resolves when this is in effect. */
  synchronize(primary: Member): Promise<void>;
  /** Resolves when all standbys have replayed everything that the primary has written so far. */
  replayed(): Promise<void>;
  /** True if a standby has replayed everything that this primary has written so far. */
  hasReplayed(standby: Member, primary: Member): Promise<boolean>;
  /** Sends SIGKILL, like a machine that fails. */
  kill(member: Member): Promise<void>;
  /** Starts a stopped member on its previous port. */
  start(member: Member): Promise<void>;
  stop(): Promise<void>;
}

const SETTINGS = {
  wal_keep_size: '512MB',
  fsync: 'off',
  synchronous_commit: 'off',
  scram_iterations: '1',
  listen_addresses: '127.0.0.1',
};

/** Starts a cluster, which takes about two seconds. `settings` apply to all servers. */
export async function startCluster(
  settings: Record<string, string> = {},
  { standbys = 1 } = {},
): Promise<Cluster> {
  const names: Member[] = standbys === 2 ? ['standby', 'second'] : ['standby'];
  const folder = await mkdtemp(path.join(tmpdir(), 'projects-service-cluster-'));
  await chmod(folder, 0o755); // under root the servers run as another user
  const place = await placeOf(folder);
  const { directory } = place;
  const programs = await openPrograms(place);
  const password = await openCluster(programs, directory, SETTINGS);
  const folderOf = (name: string) => path.join(directory, name);
  const data = {
    primary: folderOf('data'),
    standby: folderOf('standby'),
    second: folderOf('second'),
  };
  const ports = {
    primary: await freePort(),
    standby: await freePort(),
    second: await freePort(),
  };
  for (const name of names) {
    await promisify(execFile)('cp', ['-a', data.primary, data[name]]);
    const others = (['primary', ...names] as Member[]).filter((other) => other !== name);
    const upstream = others.map((other) => ports[other]);
    await makeStandby(programs, data[name], upstream, password);
  }

  const urlOf = (hosts: string) => `postgres://postgres:${password}@${hosts}/postgres`;
  const hostOf = (member: Member) => `127.0.0.1:${ports[member]}`;
  const urls = {
    primary: urlOf(hostOf('primary')),
    standby: urlOf(hostOf('standby')),
    second: urlOf(hostOf('second')),
  };
  const running = new Map<Member, ChildProcess>();

  const end = async (member: Member, signal: NodeJS.Signals) => {
    const server = running.get(member);
    running.delete(member);
    if (!server || (server.exitCode ?? server.signalCode) !== null) return;
    server.ref(); // otherwise this process may end before the server
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  };
  const start = async (member: Member) => {
    const all = { ...SETTINGS, ...settings, port: String(ports[member]) };
    const args = Object.entries({ unix_socket_directories: '', ...all });
    const options = args.flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const log = path.join(directory, `${member}.log`);
    running.set(member, await programs.serve(['-D', data[member], ...options], log));
    await until(() => holds(urls[member], 'true'), 60_000);
  };

  await start('primary');
  for (const name of names) await start(name);
  const streams = `(select count(*) = ${names.length} from pg_stat_replication where state = 'streaming')`;
  await until(() => holds(urls.primary, streams), 60_000);
  return {
    ...urls,
    both: (first, second) => urlOf(`${hostOf(first)},${hostOf(second)}`),
    promote: async (member = 'standby') => {
      await programs.run('pg_ctl', ['promote', '-D', data[member], '-w']);
      await until(() => holds(urls[member], 'not pg_is_in_recovery()'), 60_000);
    },
    rebuild: async (member, source) => {
      await rm(data[member], { recursive: true, force: true });
      const label = await copyWhileRunning(urls[source], data[source], data[member]);
      await writeOwned(programs, path.join(data[member], 'backup_label'), label);
      await makeStandby(programs, data[member], [ports[source]], password);
      await start(member);
    },
    synchronize: async (primary) => {
      await run(urls[primary], `alter system set synchronous_standby_names = '*'`);
      await run(urls[primary], 'select pg_reload_conf()');
      const waits = `exists (select from pg_stat_replication where sync_state = 'sync')`;
      await until(() => holds(urls[primary], waits), 60_000);
    },
    replayed: async () => {
      const end = await ask(urls.primary, 'pg_current_wal_insert_lsn()::text');
      for (const name of names) {
        await until(
          () => holds(urls[name], `pg_last_wal_replay_lsn() >= '${end as string}'`),
          60_000,
        );
      }
    },
    hasReplayed: async (standby, primary) => {
      const end = await ask(urls[primary], 'pg_current_wal_insert_lsn()::text');
      return await holds(urls[standby], `pg_last_wal_replay_lsn() >= '${end as string}'`);
    },
    kill: (member) => end(member, 'SIGKILL'),
    start,
    stop: async () => {
      await Promise.all([...running.keys()].map((name) => end(name, 'SIGQUIT')));
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function makeStandby(
  programs: PostgresPrograms,
  data: string,
  ports: number[],
  password: string,
): Promise<void> {
  await mkdir(data, { recursive: true });
  const hosts = `host=${ports.map(() => '127.0.0.1').join()} port=${ports.join()}`;
  const conninfo = `${hosts} user=postgres password=${password} target_session_attrs=read-write`;
  for (const [name, text] of [
    ['standby.signal', ''],
    ['postgresql.auto.conf', `primary_conninfo = '${conninfo}'\n`],
  ] as const) {
    await writeOwned(programs, path.join(data, name), text);
  }
}

async function writeOwned(programs: PostgresPrograms, file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: 0o600 });
  await programs.handOver(file);
}

/** Makes a base backup with the functions of the server; resolves with its backup_label. */
async function copyWhileRunning(url: string, from: string, to: string): Promise<string> {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    await sql`select pg_backup_start('cluster', true)`;
    // Files that disappear during the copy are not needed, but cp reports them as errors.
    await promisify(execFile)('cp', ['-a', from, to]).catch(() => undefined);
    const [stopped] = await sql`select labelfile from pg_backup_stop(false)`;
    const wal = path.join(to, 'pg_wal');
    for (const name of await readdir(wal)) {
      if (/^[0-9A-F]{24}|\.history$/.test(name)) await rm(path.join(wal, name));
    }
    await rm(path.join(to, 'postmaster.pid'), { force: true });
    return stopped!.labelfile as string;
  } finally {
    await sql.end({ timeout: 0 });
  }
}

async function run(url: string, statement: string): Promise<void> {
  const sql = postgres(url, { max: 1, fetch_types: false });
  await sql.unsafe(statement).finally(() => sql.end({ timeout: 0 }));
}

async function ask(url: string, expression: string): Promise<unknown> {
  const sql = postgres(url, { max: 1, fetch_types: false, backoff: () => 0 });
  try {
    const [row] = await sql.unsafe(`select ${expression} as answer`);
    return row!.answer;
  } finally {
    await sql.end({ timeout: 0 });
  }
}

/** Also returns false while the server does not answer. */
async function holds(url: string, condition: string): Promise<boolean> {
  return (await ask(url, condition).catch(() => false)) as boolean;
}
