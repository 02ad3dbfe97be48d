// npm run bench:replicas: what a consistency token costs a write, and reads over two replicas beside reads on
// the primary. Interleaved; --write puts the result into docs/performance.md.
import os from 'node:os';
import { parseArgs } from 'node:util';
import { createDatabaseConnection } from '../../src/db/connection.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { migrate } from '../../src/db/migrate.js';
import { readsOn } from '../../src/db/replicas/reads.js';
import { createReplicas } from '../../src/db/replicas/replicas.js';
import { startCluster } from '../support/cluster.js';
import { until } from '../support/connections.js';
import { writeReport } from './report.js';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    write: { type: 'boolean', default: false },
  },
});
const CLIENTS = 32;
const PROJECT = { name: 'A project', description: '', technologies: ['SQL'] };

const cluster = await startCluster({}, { standbys: 2 });
await migrate({ url: cluster.primary });
await cluster.replayed();
const connection = createDatabaseConnection({ url: cluster.primary });
const plain = createDatabaseConnection({ url: cluster.primary });
const replicas = createReplicas(
  connection.db,
  [{ url: cluster.standby }, { url: cluster.second }],
  { maxLagMs: 0 },
);
const projects = createProjectsFactory(connection.db);
const reads = readsOn(connection.db, projects, createProjectsFactory);
const plainProjects = createProjectsFactory(plain.db);
const plainReads = readsOn(plain.db, plainProjects, createProjectsFactory);
const { id } = await projects.createProject(PROJECT);
await cluster.replayed();
await until(() => replicas.stats().every(({ healthy }) => healthy), 60_000);

const ratios = {
  'a write with its token': await compare(600, {
    base: () => projects.createProject(PROJECT),
    other: async () => {
      await projects.createProject(PROJECT);
      await replicas.written();
    },
  }),
  'a read over two replicas': await compare(3000, {
    base: () => projects.getProject(id),
    other: () => reads.read(undefined, (on) => on.getProject(id)),
  }),
  'a list over two replicas': await compare(600, {
    base: () => projects.listProjects({ limit: 20 }),
    other: () => reads.read(undefined, (on) => on.listProjects({ limit: 20 })),
  }),
  'a read without replicas configured': await compare(3000, {
    base: () => plainProjects.getProject(id),
    other: () => plainReads.read(undefined, (on) => on.getProject(id)),
  }),
};
await Promise.all([replicas.close(), connection.close(), plain.close()]);
await cluster.stop();
const report = [
  `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${os.cpus().length} cores, which the clients and all three servers share; medians of ${options.rounds} interleaved rounds of ${CLIENTS} clients.`,
  '',
  '| | throughput, of the same on the primary without tokens |',
  '| --- | ---: |',
  ...Object.entries(ratios).map(([name, ratio]) => `| ${name} | ${Math.round(ratio * 100)} % |`),
].join('\n');
console.log(report);
if (options.write) writeReport('replicas', report);

interface Compared {
  base: () => Promise<unknown>;
  other: () => Promise<unknown>;
}

/** The median of how much of the throughput of `base` the other has. */
async function compare(count: number, { base, other }: Compared): Promise<number> {
  const found: number[] = [];
  for (let round = 0; round <= Number(options.rounds); round++) {
    // One order in every other round, so that neither is always the first.
    const works = round % 2 === 0 ? [base, other] : [other, base];
    const [first, second] = [await timeOf(count, works[0]!), await timeOf(count, works[1]!)];
    if (round > 0) found.push(round % 2 === 0 ? first / second : second / first);
  }
  return found.sort((a, b) => a - b)[Math.floor(found.length / 2)]!;
}

async function timeOf(count: number, work: () => Promise<unknown>): Promise<number> {
  let left = count;
  const began = performance.now();
  const client = async () => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return performance.now() - began;
}
