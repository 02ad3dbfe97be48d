import { migrate } from '../../src/db/migrate.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { connectPlainly, sleep, until } from '../support/connections.js';
import { killServices, type ServiceProcess, startProcess } from '../support/process.js';
import { send, type Answer } from './client.js';

const PATIENCE_MS = 120_000;
const WRITERS = 8;
const READERS = 16;
const TOKEN = 'x-consistency-token';

export interface ReadProof {
  /** One sentence each; empty if every read was correct. */
  faults: string[];
  writes: number;
  /** The reads with a token, and the number of them that a replica answered. */
  reads: number;
  onReplicas: number;
  /** The control group: reads without the token, and the number of them that were older than the write. */
  plain: number;
  plainStale: number;
  pauses: number;
}

interface Written {
  path: string;
  version: number;
  token: string;
}

interface Traffic {
  written: (Written | undefined)[];
  writes: number;
  reads: number;
  stale: string[];
  plain: number;
  plainStale: number;
  stopped: boolean;
}

/**
 * Reads with the tokens of writes, over two instances of the built service and two replicas, while writers write and
 * the replay of the replicas is paused in turn. Each twentieth read is sent without its token, to show that the
 * replicas are behind; otherwise the proof would mean nothing.
 */
export async function proveReads({ reads }: { reads: number }): Promise<ReadProof> {
  const cluster = await startCluster({}, { standbys: 2 });
  try {
    await migrate({ url: cluster.primary });
    await cluster.replayed();
    const services = [await startInstance(cluster), await startInstance(cluster)];
    const urls = await Promise.all(services.map(({ url }) => url));
    for (const url of urls) await until(async () => (await healthyOn(url)) === 2, PATIENCE_MS);
    const traffic = newTraffic();
    const pausing = pauseInTurn(cluster, traffic);
    const working = [
      ...Array.from({ length: WRITERS }, (_, n) => write(urls, n, traffic)),
      ...Array.from({ length: READERS }, () => read(urls, reads, traffic)),
    ];
    await Promise.all(working).finally(() => (traffic.stopped = true));
    const pauses = await pausing;
    const onReplicas = (await Promise.all(urls.map(readsOnReplicas))).reduce((a, b) => a + b);
    const { writes, stale, plain, plainStale } = traffic;
    return { faults: stale, writes, reads: traffic.reads, onReplicas, plain, plainStale, pauses };
  } finally {
    await killServices();
    await cluster.stop();
  }
}

function newTraffic(): Traffic {
  const counts = { writes: 0, reads: 0, plain: 0, plainStale: 0 };
  return { ...counts, written: [], stale: [], stopped: false };
}

function startInstance(cluster: Cluster): Promise<ServiceProcess> {
  return startProcess({
    DATABASE_URL: cluster.primary,
    DATABASE_REPLICA_URLS: `${cluster.standby},${cluster.second}`,
    DATABASE_REPLICA_MAX_LAG_MS: '5000',
    MAX_CONCURRENT_REQUESTS: '0',
    MIGRATIONS: 'off',
  });
}

async function write(urls: string[], writer: number, traffic: Traffic): Promise<void> {
  const project = { name: `writer ${writer}`, description: '', technologies: ['SQL'] };
  let path = '';
  while (!traffic.stopped) {
    const isFirst = path === '';
    const body = isFirst ? project : { operations: [{ op: 'replace', id: path, project }] };
    project.description = `write ${(traffic.written[writer]?.version ?? 0) + 2}`;
    const url = `${anyOf(urls)}/api/projects${isFirst ? '' : '/batch'}`;
    const { data, token } = await answered(url, { headers: {}, body });
    if (isFirst) path = (data as { id: string }).id;
    const version = (traffic.written[writer]?.version ?? 0) + 1;
    traffic.written[writer] = { path: `/api/projects/${path}`, version, token };
    traffic.writes++;
    await sleep(Math.random() * 50);
  }
}

async function read(urls: string[], reads: number, traffic: Traffic): Promise<void> {
  for (let n = 0; traffic.reads < reads; n++) {
    const last = anyOf(traffic.written);
    if (!last) {
      await sleep(10);
      continue;
    }
    const isPlain = n % 20 === 19;
    const headers = isPlain ? {} : { [TOKEN]: last.token };
    const { data } = await answered(`${anyOf(urls)}${last.path}`, { headers }, isPlain);
    const found = (data as { version?: number } | undefined)?.version ?? 0;
    if (isPlain) {
      traffic.plain++;
      if (found < last.version) traffic.plainStale++;
    } else {
      traffic.reads++;
      if (found < last.version) traffic.stale.push(`version ${found} of ${last.version}`);
    }
  }
  traffic.stopped = true;
}

type Request = Parameters<typeof send>[1];

/** Nothing is killed here, so no request may fail. Only a read without a token may miss the project. */
async function answered(url: string, request: Request, mayMiss = false): Promise<Answer> {
  const answer = await send(url, request);
  if (answer.status < 300 || (mayMiss && answer.status === 404)) return answer;
  throw new Error(`A request was answered ${answer.status}: ${answer.text}`);
}

function anyOf<T>(values: T[]): T {
  return values[Math.floor(Math.random() * values.length)]!;
}

/** Pauses the replay of one replica after the other for up to half a second, so that they fall behind. */
async function pauseInTurn(cluster: Cluster, traffic: Traffic): Promise<number> {
  const replicas = [cluster.standby, cluster.second].map((url) => connectPlainly(url));
  let pauses = 0;
  while (!traffic.stopped) {
    const replica = replicas[pauses++ % 2]!;
    await replica`select pg_wal_replay_pause()`;
    await sleep(Math.random() * 500);
    await replica`select pg_wal_replay_resume()`;
    await sleep(Math.random() * 200);
  }
  await Promise.all(replicas.map((replica) => replica.end({ timeout: 0 })));
  return pauses;
}

async function healthyOn(url: string): Promise<number> {
  return (await metric(url, /^db_replica_healthy\{.*\} 1$/gm)).length;
}

async function readsOnReplicas(url: string): Promise<number> {
  const found = await metric(url, /^db_replica_reads_total\{replica="[^p].*"\} (\d+)$/gm);
  return found.reduce((sum, [, count]) => sum + Number(count), 0);
}

async function metric(url: string, line: RegExp): Promise<RegExpMatchArray[]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return [...text.matchAll(line)];
}
