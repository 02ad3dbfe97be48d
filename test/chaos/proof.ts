import { migrate } from '../../src/db/migrate.js';
import { followFeed } from '../soak/feed-reader.js';
import { compare } from '../soak/proof.js';
import { type Cluster, type Member, startCluster } from '../support/cluster.js';
import { sleep, until } from '../support/connections.js';
import { killServices, type ServiceProcess, startProcess } from '../support/process.js';
import { newTraffic, type Traffic, work } from './client.js';
import { type RoundRobin, startRoundRobin } from './round-robin.js';

const PATIENCE_MS = 120_000;

interface Options {
  failovers: number;
  writers: number;
  instances: number;
  log?: (line: string) => void;
}

interface Found {
  /** One sentence each; empty if every guarantee held. */
  faults: string[];
  writes: number;
  changes: number;
  reconnects: number;
}

export interface Proof extends Found {
  requests: number;
  sentAgain: number;
  replays: number;
  /** Answers that the balancer did not forward, so that executed requests were repeated. */
  lostAnswers: number;
  reads: number;
  longestGapMs: number;
  /** The requests during the rolling restart, and the failed ones among them. */
  restart: { requests: number; failed: number };
}

/**
 * Runs several instances of the built service on two servers, behind a balancer. Clients write with Idempotency-Keys
 * and read each write with its token, and a reader follows the change feed. The balancer loses some answers.
 * Meanwhile the primary is killed and the standby promoted, the given number of times; the killed server becomes the
 * standby of the other one. At the end all instances are restarted, one after another.
 */
export async function prove(options: Options): Promise<Proof> {
  const cluster = await startCluster({ synchronous_commit: 'on' });
  const balancer = await startRoundRobin();
  const services: ServiceProcess[] = [];
  const traffic = newTraffic();
  const base = `${balancer.url}/api/projects`;
  try {
    await migrate({ url: cluster.primary });
    await cluster.replayed();
    await cluster.synchronize('primary');
    let gone = 0;
    for (let n = 0; n < options.instances; n++) {
      const service = await startInstance(cluster, balancer);
      void service.ended.then(() => gone++);
      services.push(service);
    }
    const feed = followFeed(`${base}/changes`);
    const working = Array.from({ length: options.writers }, (_, n) => work(base, n, traffic));
    const stopped = Promise.race(working); // a refused request ends the run
    try {
      balancer.loseOneOf(30);
      const primary = await Promise.race([failOver(cluster, traffic, options), stopped]);
      const ended = gone;
      balancer.loseOneOf(Infinity);
      const restart = await restartAll(cluster, { services, balancer, traffic });
      traffic.stopped = true;
      const acknowledged = (await Promise.all(working)).flat();
      const url = cluster[primary as Member];
      const writing = { retries: traffic.failed, replays: traffic.replays };
      const found = (await compare({ url, acknowledged, feed, writing })) as Found;
      return {
        ...found,
        ...countsOf(traffic),
        restart,
        lostAnswers: balancer.lost(),
        faults: faultsOf({ ...found, restart, traffic, ended }),
      };
    } finally {
      traffic.stopped = true;
      feed.stop();
      await Promise.allSettled(working);
    }
  } finally {
    balancer.close();
    await killServices();
    await cluster.stop();
  }
}

async function startInstance(cluster: Cluster, balancer: RoundRobin): Promise<ServiceProcess> {
  const service = await startProcess({
    DATABASE_URL: cluster.both('primary', 'standby'),
    DATABASE_REPLICA_URLS: `${cluster.primary},${cluster.standby}`,
    MIGRATIONS: 'off',
  });
  balancer.add(await service.url);
  return service;
}

/** Resolves with the member that becomes the primary. */
async function failOver(cluster: Cluster, traffic: Traffic, options: Options): Promise<Member> {
  let [primary, standby]: [Member, Member] = ['primary', 'standby'];
  for (let n = 1; n <= options.failovers; n++) {
    const before = traffic.reads;
    await until(() => traffic.reads > before + 50, PATIENCE_MS);
    await cluster.kill(primary);
    await sleep(Math.random() * 1000); // the election needs some time
    await cluster.promote(standby);
    const promoted = traffic.reads;
    await until(() => traffic.reads > promoted + 50, PATIENCE_MS);
    await cluster.rebuild(primary, standby);
    await cluster.synchronize(standby);
    [primary, standby] = [standby, primary];
    options.log?.(`${n} of ${options.failovers}: the primary was killed and the standby promoted`);
  }
  return primary;
}

interface Running {
  services: ServiceProcess[];
  balancer: RoundRobin;
  traffic: Traffic;
}

async function restartAll(cluster: Cluster, { services, balancer, traffic }: Running) {
  const settled = traffic.reads;
  await until(() => traffic.reads > settled + 100, PATIENCE_MS);
  const { requests, failed } = traffic;
  for (const service of services.splice(0)) {
    const before = traffic.reads;
    service.send('SIGTERM');
    const code = await service.ended;
    if (code !== 0) throw new Error(`An instance ended with ${code}.`);
    balancer.remove(await service.url);
    services.push(await startInstance(cluster, balancer));
    await until(() => traffic.reads > before + 100, PATIENCE_MS);
  }
  return { requests: traffic.requests - requests, failed: traffic.failed - failed };
}

function countsOf({ requests, failed, replays, reads, longestGapMs }: Traffic) {
  return { requests, sentAgain: failed, replays, reads, longestGapMs };
}

function faultsOf(found: {
  faults: string[];
  restart: Proof['restart'];
  traffic: Traffic;
  ended: number;
}): string[] {
  const { faults, restart, traffic, ended } = found;
  return [
    ...faults,
    ...traffic.stale.map((text) => `A read with its token was stale: ${text}.`),
    ...(ended > 0 ? [`${ended} instances ended during the failovers.`] : []),
    ...(restart.failed > 0 ? [`${restart.failed} requests failed during the restart.`] : []),
  ];
}
