import { execFile, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import postgres from 'postgres';
import { openPrograms, type PostgresPrograms } from '../../src/db/embedded/binaries.js';
import { openCluster } from '../../src/db/embedded/cluster.js';
import { placeOf } from '../../src/db/embedded/places.js';
import { until } from './connections.js';

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
  /** Makes the standby a primary; resolves when it takes writes. */
  promote(): Promise<void>;
  /** Resolves when all standbys have replayed what the primary has written by now. */
  replayed(): Promise<void>;
  /** SIGKILL, as a machine that fails. */
  kill(member: Member): Promise<void>;
  /** Starts a member that was killed or stopped, on its old port. */
  start(member: Member): Promise<void>;
  stop(): Promise<void>;
}

const SETTINGS = { fsync: 'off', synchronous_commit: 'off', listen_addresses: '127.0.0.1' };

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
  const password = await openCluster(programs, directory, { fsync: 'off' });
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
    promote: async () => {
      await programs.run('pg_ctl', ['promote', '-D', data.standby, '-w']);
      await until(() => holds(urls.standby, 'not pg_is_in_recovery()'));
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
    await writeFile(path.join(data, name), text, { mode: 0o600 });
    await programs.handOver(path.join(data, name));
  }
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

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
