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
    rounds: { type: 'string', default: '11' },
    seconds: { type: 'string', default: '1' },
    rows: { type: 'string', default: '10000' },
    only: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
const CONNECTIONS = 32;
/** Both services compile their code in the first rounds. */
const WARM_UP_ROUNDS = 3;
const IDS = Array.from({ length: 500 }, (_, n) => idOf(1 + Math.floor((n / 500) * +options.rows)));
const NEW = { name: 'Bench project', description: 'Lorem ipsum.', technologies: ['SQL', 'C'] };
const WRITE = { method: 'POST', target: () => '/api/projects', body: NEW };
const READ = { method: 'GET', target: (id: string) => `/api/projects/${id}` };
const LIST = { method: 'GET', target: () => '/api/projects' };
/** Each on services with so many replicas. Without any, two equal processes are compared: this is the noise. */
const SCENARIOS = [
  { name: 'a write on another service without replicas (noise)', replicas: 0, request: WRITE },
  { name: 'a write with its token', replicas: 2, request: WRITE },
  { name: 'a read by id on a replica', replicas: 1, request: READ },
  { name: 'a list of 50 on a replica', replicas: 1, request: LIST },
  { name: 'a read by id over two replicas, which share the core', replicas: 2, request: READ },
  { name: 'a list of 50 over two replicas, which share the core', replicas: 2, request: LIST },
].filter(({ name }) => name.includes(options.only));

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
  const ratios: Record<string, Compared> = await ratiosOverHttp();
  const inProcess = 'a read without replicas configured, in process';
  if (inProcess.includes(options.only)) ratios[inProcess] = await ratioWithoutReplicas();
  const report = reportOf(ratios);
  console.log(report);
  if (options.write) writeReport('replicas', report);
} finally {
  await sql.end();
  await cluster.stop();
  rmSync(directory, { recursive: true });
}

async function ratiosOverHttp(): Promise<Record<string, Compared>> {
  const base = await startService([]);
  const others = [
    await startService([]),
    await startService([cluster.standby]),
    await startService([cluster.standby, cluster.second]),
  ];
  try {
    const ratios: Record<string, Compared> = {};
    for (const { name, replicas, request } of SCENARIOS) {
      const other = others[replicas]!;
      await cluster.replayed();
      await until(async () => (await healthyOf(other.port)) === replicas, 60_000);
      const work = async ({ port, cpuMs }: Server) => {
        const [cpuBefore, commitsBefore] = [cpuMs(), await commits()];
        const rate = await load({ port, scenario: { name, ...request }, ...LOAD });
        const requests = rate * LOAD.seconds;
        const rows = request === WRITE ? requests / ((await commits()) - commitsBefore) : undefined;
        return { rate, perCpuMs: requests / (cpuMs() - cpuBefore), rows };
      };
      ratios[name] = await medianRatios(
        () => work(base),
        () => work(other),
      );
    }
    return ratios;
  } finally {
    await Promise.all([base, ...others].map((service) => service.stop()));
  }
}

function startService(replicas: string[]) {
  return startServer({
    node: process.execPath,
    program: 'dist/main.js',
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
async function ratioWithoutReplicas(): Promise<Compared> {
  const { db, close } = createDatabaseConnection({ url: cluster.primary });
  const projects = createProjectsFactory(db);
  const reads = readsOn(db, projects, createProjectsFactory);
  const [id] = IDS as [string];
  try {
    return await medianRatios(
      () => workOf(() => projects.getProject(id)),
      () => workOf(() => reads.read(undefined, (on) => on.getProject(id))),
    );
  } finally {
    await close();
  }
}

interface Ratios {
  rate: number;
  /** Requests for each millisecond of the processor that the service used. */
  perCpuMs: number;
  /** The rows of an INSERT. */
  rows?: number;
}

interface Compared extends Ratios {
  /** The lowest and the highest rate of a round. */
  spread: [number, number];
  /** The rows of an INSERT, of both. */
  rowsOfEach?: [number, number];
}

async function workOf(work: () => Promise<unknown>): Promise<Ratios> {
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

/** The medians of what the other one has of `base`, in interleaved rounds. */
async function medianRatios(
  base: () => Promise<Ratios>,
  other: () => Promise<Ratios>,
): Promise<Compared> {
  const found: Ratios[] = [];
  const sizes: { base?: number; other?: number }[] = [];
  for (let round = -WARM_UP_ROUNDS; round < Number(options.rounds); round++) {
    // One order in every other round, so that neither is always the first.
    const works = round % 2 === 0 ? [base, other] : [other, base];
    const results = [await works[0]!(), await works[1]!()];
    const [of, to] = round % 2 === 0 ? [results[1]!, results[0]!] : [results[0]!, results[1]!];
    if (round < 0) continue;
    found.push({ rate: of.rate / to.rate, perCpuMs: of.perCpuMs / to.perCpuMs });
    sizes.push({ base: to.rows, other: of.rows });
  }
  const rates = found.map(({ rate }) => rate);
  return {
    rate: medianOf(found, ({ rate }) => rate),
    spread: [Math.min(...rates), Math.max(...rates)],
    perCpuMs: medianOf(found, ({ perCpuMs }) => perCpuMs),
    ...(sizes[0]?.base && {
      rowsOfEach: [medianOf(sizes, ({ base }) => base!), medianOf(sizes, ({ other }) => other!)],
    }),
  };
}

function medianOf<T>(found: T[], valueOf: (of: T) => number): number {
  const sorted = found.map(valueOf).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}

function reportOf(ratios: Record<string, Compared>): string {
  return [
    `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${os.cpus().length} cores; medians of ${options.rounds} interleaved rounds of ${options.seconds} s, ${CONNECTIONS} connections.`,
    '',
    '| | throughput, ratio to the same without replicas | lowest and highest round | requests for the same processor time of the service | rows of an INSERT, without and with |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...Object.entries(ratios).map(
      ([name, { rate, spread, perCpuMs, rowsOfEach = [] }]) =>
        `| ${name} | ${percent(rate)} | ${spread.map(percent).join(' – ')} | ${percent(perCpuMs)} | ${rowsOfEach.map((rows) => rows.toFixed(1)).join(', ')} |`,
    ),
  ].join('\n');
}

function percent(ratio: number): string {
  return `${Math.round(ratio * 100)} %`;
}
