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
/**
 * V8 compiles the code of a service in its first ten seconds under load. So each comparison starts its own two services,
 * and both have the same load at the same age.
 */
const WARM_UP_ROUNDS = 12;
const IDS = Array.from({ length: 500 }, (_, n) => idOf(1 + Math.floor((n / 500) * +options.rows)));
const NEW = { name: 'Bench project', description: 'Lorem ipsum.', technologies: ['SQL', 'C'] };
const WRITE = { method: 'POST', target: () => '/api/projects', body: NEW };
const READ = { method: 'GET', target: (id: string) => `/api/projects/${id}` };
const LIST = { method: 'GET', target: () => '/api/projects' };
/** `base` is a service without replicas, or one that answers no token. The first row compares two equal services. */
const ALL: Scenario[] = [
  { name: 'a write on another service without replicas (noise)', replicas: 0, request: WRITE },
  { name: 'a write with its token, on another service', replicas: 2, request: WRITE },
  { name: 'a write with its token, in one process', replicas: 2, request: WRITE, inOne: true },
  { name: 'a read by id on a replica', replicas: 1, request: READ },
  { name: 'a list of 50 on a replica', replicas: 1, request: LIST },
  { name: 'a read by id over two replicas, which share the core', replicas: 2, request: READ },
  { name: 'a list of 50 over two replicas, which share the core', replicas: 2, request: LIST },
];
const SCENARIOS = ALL.filter(({ name }) => name.includes(options.only));

type Request = typeof WRITE | typeof READ;

interface Scenario {
  name: string;
  replicas: number;
  request: Request;
  /** True to compare one process with itself. */
  inOne?: boolean;
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
    for (const scenario of SCENARIOS) {
      (found[scenario.name] ??= []).push(...(await pairsOverHttp(scenario)));
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

async function pairsOverHttp(scenario: Scenario): Promise<Pair[]> {
  const { base, other, stop } = await startServices(scenario);
  const work = async ({ server, prepare }: Service): Promise<Round> => {
    prepare?.();
    const [cpuBefore, commitsBefore] = [server.cpuMs(), await commits()];
    const { name, request } = scenario;
    const rate = await load({ port: server.port, scenario: { name, ...request }, ...LOAD });
    const requests = rate * LOAD.seconds;
    const rows = request === WRITE ? requests / ((await commits()) - commitsBefore) : undefined;
    return { rate, perCpuMs: requests / (server.cpuMs() - cpuBefore), rows };
  };
  const pairs = (rounds: number) =>
    inTurns(
      () => work(base),
      () => work(other),
      rounds,
    );
  try {
    await pairs(WARM_UP_ROUNDS);
    await cluster.replayed();
    await Promise.all([base, other].map(isReady));
    return await pairs(+options.rounds);
  } finally {
    await stop();
  }
}

interface Service {
  server: Server;
  replicas: number;
  /** Called before each round. */
  prepare?: () => void;
}

async function startServices({ replicas, inOne }: Scenario) {
  if (inOne) return startOne(replicas);
  const [base, other] = [await startService(0), await startService(replicas)];
  return {
    base: { server: base, replicas: 0 },
    other: { server: other, replicas },
    stop: () => Promise.all([base.stop(), other.stop()]),
  };
}

/** Starts a service that answers tokens or none. */
async function startOne(replicas: number) {
  const server = await startService(replicas, 'test/bench/tokens-on-request.js');
  let answersTokens = true;
  const set = (wanted: boolean) => () => {
    if (answersTokens !== wanted) server.signal('SIGUSR2');
    answersTokens = wanted;
  };
  return {
    base: { server, replicas, prepare: set(false) },
    other: { server, replicas, prepare: set(true) },
    stop: () => server.stop(),
  };
}

async function isReady({ server, replicas }: Service): Promise<void> {
  await until(async () => (await healthyOf(server.port)) === replicas, 60_000);
}

function startService(replicas: number, program = 'dist/main.js') {
  const urls = [cluster.standby, cluster.second].slice(0, replicas);
  return startServer({
    node: process.execPath,
    program,
    env: {
      DATABASE_URL: cluster.primary,
      MIGRATIONS: 'off',
      LOG_LEVEL: 'warn',
      MAX_CONCURRENT_REQUESTS: '0',
      ...(replicas > 0 && {
        DATABASE_REPLICA_URLS: urls.join(),
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

async function inTurns(
  base: () => Promise<Round>,
  other: () => Promise<Round>,
  rounds = Number(options.rounds),
): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let round = 0; round < rounds; round++) {
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
