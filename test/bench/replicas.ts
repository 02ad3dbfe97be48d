// npm run bench:replicas: what replicas cost and give, through HTTP; --write puts the table into docs/performance.md.
//
// Each service has the first core. All PostgreSQL servers and the load share the second one, and one service is under
// load at a time: the primary has that core, or one replica has it, or two replicas have it together.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { createDatabaseConnection } from '../../src/db/connection.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { migrate } from '../../src/db/migrate.js';
import { readsOn } from '../../src/db/replicas/reads.js';
import { startCluster } from '../support/cluster.js';
import { until } from '../support/connections.js';
import { fillCatalogue, idOf } from './catalogue.js';
import { load, requireWrk } from './load.js';
import { writeReport } from './report.js';
import { startServer } from './server.js';

const { values: options } = parseArgs({
  options: {
    starts: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '1' },
    rows: { type: 'string', default: '10000' },
    only: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
const CONNECTIONS = 32;
/** V8 compiles the code of a service in its first seconds under load, so all have the same load before. */
const WARM_UP_SECONDS = 8;
const IDS = Array.from({ length: 500 }, (_, n) => idOf(1 + Math.floor((n / 500) * +options.rows)));
const NEW = { name: 'Bench project', description: 'Lorem ipsum.', technologies: ['SQL', 'C'] };
const WRITE = { method: 'POST', target: () => '/api/projects', body: NEW };
const READ = { method: 'GET', target: (id: string) => `/api/projects/${id}` };
const LIST = { method: 'GET', target: () => '/api/projects' };
/** Each is compared with the same on `base`. The first row compares two equal processes: this is the noise. */
const ALL: Scenario[] = [
  { name: 'a write on another service without replicas (noise)', of: 'equal', request: WRITE },
  { name: 'a write with its token, on another service', of: 'overTwo', request: WRITE },
  {
    name: 'a write with its token, in one process',
    of: 'tokens',
    base: 'noTokens',
    request: WRITE,
  },
  { name: 'a read by id on a replica', of: 'overOne', request: READ },
  { name: 'a list of 50 on a replica', of: 'overOne', request: LIST },
  { name: 'a read by id over two replicas, which share the core', of: 'overTwo', request: READ },
  { name: 'a list of 50 over two replicas, which share the core', of: 'overTwo', request: LIST },
];
const SCENARIOS = ALL.filter(({ name }) => name.includes(options.only));

type Request = typeof WRITE | typeof READ;

interface Scenario {
  name: string;
  of: keyof Services;
  base?: keyof Services;
  request: Request;
}

type Server = Awaited<ReturnType<typeof startServer>>;

await requireWrk();
const directory = mkdtempSync(path.join(os.tmpdir(), 'projects-service-bench-'));
const LOAD = { ids: IDS, seconds: +options.seconds, connections: CONNECTIONS, directory };
const cluster = await startCluster({}, { standbys: 2 });
const sql = postgres(cluster.primary, { max: 1, onnotice: () => {} });
try {
  await migrate({ url: cluster.primary });
  await fillCatalogue(sql, Number(options.rows));
  await cluster.replayed();
  const found: Record<string, Pair[]> = {};
  for (let start = 0; start < Number(options.starts); start++) {
    for (const [name, pairs] of Object.entries(await pairsOverHttp())) {
      (found[name] ??= []).push(...pairs);
    }
  }
  const inProcess = 'a read without replicas configured, in process';
  if (inProcess.includes(options.only)) found[inProcess] = await pairsWithoutReplicas();
  const report = reportOf(found);
  console.log(report);
  if (options.write) writeReport('replicas', report);
} finally {
  await sql.end();
  await cluster.stop();
  rmSync(directory, { recursive: true });
}

async function pairsOverHttp(): Promise<Record<string, Pair[]>> {
  const services = await startServices();
  try {
    for (const request of new Set(SCENARIOS.map((scenario) => scenario.request))) {
      for (const service of Object.values(services)) await warmUp(service, request);
    }
    const found: Record<string, Pair[]> = {};
    for (const { name, of, base = 'base', request } of SCENARIOS) {
      await cluster.replayed();
      await Promise.all([services[base], services[of]].map(isReady));
      const work = async ({ server, prepare }: Service) => {
        prepare?.();
        const [cpuBefore, commitsBefore] = [server.cpuMs(), await commits()];
        const rate = await load({ port: server.port, scenario: { name, ...request }, ...LOAD });
        const requests = rate * LOAD.seconds;
        const rows = request === WRITE ? requests / ((await commits()) - commitsBefore) : undefined;
        return { rate, perCpuMs: requests / (server.cpuMs() - cpuBefore), rows };
      };
      found[name] = await inTurns(
        () => work(services[base]),
        () => work(services[of]),
      );
    }
    return found;
  } finally {
    await Promise.all(Object.values(services).map(({ server }) => server.stop()));
  }
}

async function warmUp({ server: { port }, prepare }: Service, request: Request): Promise<void> {
  prepare?.();
  await load({
    port,
    scenario: { name: 'warm-up', ...request },
    ...LOAD,
    seconds: WARM_UP_SECONDS,
  });
}

interface Service {
  server: Server;
  replicas: number;
  /** Called before each round. */
  prepare?: () => void;
}
type Services = Awaited<ReturnType<typeof startServices>>;

async function startServices() {
  const none: string[] = [];
  const two = [cluster.standby, cluster.second];
  const [base, equal, overOne, overTwo, one] = [
    await startService(none),
    await startService(none),
    await startService([cluster.standby]),
    await startService(two),
    await startService(two, 'test/bench/tokens-on-request.js'),
  ];
  let answersTokens = true;
  const set = (wanted: boolean) => () => {
    if (answersTokens !== wanted) one.signal('SIGUSR2');
    answersTokens = wanted;
  };
  return {
    base: { server: base, replicas: 0 },
    equal: { server: equal, replicas: 0 },
    overOne: { server: overOne, replicas: 1 },
    overTwo: { server: overTwo, replicas: 2 },
    tokens: { server: one, replicas: 2, prepare: set(true) },
    noTokens: { server: one, replicas: 2, prepare: set(false) },
  } satisfies Record<string, Service>;
}

async function isReady({ server, replicas }: Service): Promise<void> {
  await until(async () => (await healthyOf(server.port)) === replicas, 60_000);
}

function startService(replicas: string[], program = 'dist/main.js') {
  return startServer({
    node: process.execPath,
    program,
    env: {
      DATABASE_URL: cluster.primary,
      MIGRATIONS: 'off',
      LOG_LEVEL: 'warn',
      MAX_CONCURRENT_REQUESTS: '0',
      ...(replicas.length > 0 && {
        DATABASE_REPLICA_URLS: replicas.join(),
        DATABASE_REPLICA_MAX_LAG_MS: '60000', // they replay the writes on the core of the load
      }),
    },
    target: '/api/projects',
  });
}

/** The number of write transactions so far. */
async function commits(): Promise<number> {
  const [sequence] = await sql`select last_value from change_commits_position_seq`;
  return Number(sequence!.last_value);
}

async function healthyOf(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return [...text.matchAll(/^db_replica_healthy\{.*\} 1$/gm)].length;
}

/** What routing costs where there is nothing to route to. */
async function pairsWithoutReplicas(): Promise<Pair[]> {
  const { db, close } = createDatabaseConnection({ url: cluster.primary });
  const projects = createProjectsFactory(db);
  const reads = readsOn(db, projects, createProjectsFactory);
  const [id] = IDS as [string];
  try {
    return await inTurns(
      () => workOf(() => projects.getProject(id)),
      () => workOf(() => reads.read(undefined, (on) => on.getProject(id))),
    );
  } finally {
    await close();
  }
}

interface Round {
  rate: number;
  /** Requests for each millisecond of the processor that the service used. */
  perCpuMs: number;
  /** The rows of an INSERT. */
  rows?: number;
}
type Pair = { base: Round; other: Round };

async function workOf(work: () => Promise<unknown>): Promise<Round> {
  const [began, { user, system }] = [performance.now(), process.cpuUsage()];
  const until = began + LOAD.seconds * 1000;
  let count = 0;
  const client = async () => {
    for (; performance.now() < until; count++) await work();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, client));
  const used = process.cpuUsage({ user, system });
  return { rate: count, perCpuMs: count / ((used.user + used.system) / 1000) };
}

async function inTurns(base: () => Promise<Round>, other: () => Promise<Round>): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let round = 0; round < Number(options.rounds); round++) {
    // One order in every other round, so that neither is always the first.
    const works = round % 2 === 0 ? [base, other] : [other, base];
    const results = [await works[0]!(), await works[1]!()];
    const [of, to] = round % 2 === 0 ? [results[1]!, results[0]!] : [results[0]!, results[1]!];
    pairs.push({ base: to, other: of });
  }
  return pairs;
}

function medianOf(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function reportOf(found: Record<string, Pair[]>): string {
  return [
    `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${os.cpus().length} cores; medians of ${options.rounds} interleaved rounds of ${options.seconds} s after each of ${options.starts} starts, ${CONNECTIONS} connections.`,
    '',
    '| | throughput, ratio to the same without replicas or tokens | lowest and highest round | requests for the same processor time of the service | rows of an INSERT, without and with |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...Object.entries(found).map(rowOf),
  ].join('\n');
}

function rowOf([name, pairs]: [string, Pair[]]): string {
  const rates = pairs.map(({ base, other }) => other.rate / base.rate);
  const perCpuMs = pairs.map(({ base, other }) => other.perCpuMs / base.perCpuMs);
  const rowsOf = (of: keyof Pair) => medianOf(pairs.map((pair) => pair[of].rows!)).toFixed(1);
  const rows = pairs[0]!.base.rows ? `${rowsOf('base')}, ${rowsOf('other')}` : '';
  const spread = [Math.min(...rates), Math.max(...rates)].map(percent).join(' – ');
  return `| ${name} | ${percent(medianOf(rates))} | ${spread} | ${percent(medianOf(perCpuMs))} | ${rows} |`;
}

function percent(ratio: number): string {
  return `${Math.round(ratio * 100)} %`;
}
