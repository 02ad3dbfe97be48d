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
 * A primary and its streaming standbys, from the embedded binaries. The names stay after a promotion, and a
 * standby follows whichever of the others is the primary.
 */
export interface Cluster {
  /** URL of the database `postgres` on each, with the superuser and its password. */
  primary: string;
  standby: string;
  /** Only of a cluster of two standbys. */
  second: string;
  /** A URL of both, in the given order. */
  both(first: Member, second: Member): string;
  /** Makes a standby a primary; resolves when it takes writes. */
  promote(member?: Member): Promise<void>;
  /** Makes of a member that has stopped a standby of `source`, from a copy of it, and starts it. */
  rebuild(member: Member, source: Member): Promise<void>;
  /** From now on a commit on this primary waits for its standby. Resolves when it does. */
  synchronize(primary: Member): Promise<void>;
  /** Resolves when all standbys have replayed what the primary has written by now. */
  replayed(): Promise<void>;
  /** Whether a standby has replayed what this primary has written by now. */
  hasReplayed(standby: Member, primary: Member): Promise<boolean>;
  /** SIGKILL, as a machine that fails. */
  kill(member: Member): Promise<void>;
  /** Starts a member that was killed or stopped, on its old port. */
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

/** `settings` are for all servers. Takes about two seconds. */
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
    server.ref(); // or this process may end before the server
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

/** A base backup by the functions of the server; resolves to its backup_label. */
async function copyWhileRunning(url: string, from: string, to: string): Promise<string> {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    await sql`select pg_backup_start('cluster', true)`;
    // Files that vanish meanwhile are not needed, and cp complains of them.
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

/** False too while the server does not answer. */
async function holds(url: string, condition: string): Promise<boolean> {
  return (await ask(url, condition).catch(() => false)) as boolean;
}
