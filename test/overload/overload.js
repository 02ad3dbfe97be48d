// npm run overload: ten times as many clients as the service accepts at once, which all ignore Retry-After. It prints
// the times of the successful answers next to those without overload. `--write` puts the tables into
// docs/reliability.md. The service has the first core; the clients and the database have the others.
import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import sqlTo from 'postgres';
import { migrate } from '../../dist/db/migrate.js';
import { startEmbeddedPostgres } from '../../dist/db/embedded/embedded-postgres.js';
import { fillCatalogue, idOf } from '../bench/catalogue.js';
import { writeReport } from '../bench/report.js';
import { SCENARIOS } from '../bench/scenarios.js';
import { startServer } from '../bench/server.js';
import { requestText } from './flood.js';
import { faultsOf, proveNeighbour, proveOverload, timeFaultsOf } from './proof.js';
import { reportOf } from './report.js';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' }, // seconds of overload, for each kind of request
    calm: { type: 'string', default: '10' }, // seconds of each load to compare with
    only: { type: 'string', default: '' }, // only kinds of requests whose name contains this text
    write: { type: 'boolean', default: false },
  },
});

const CAPACITY = 64; // the default of MAX_CONCURRENT_REQUESTS
const ROWS = 10_000;
const MEASURED = ['GET by id', 'list of 50', 'POST'].filter((name) => name.includes(options.only));
const ms = Number(options.seconds) * 1000;
const calmMs = Number(options.calm) * 1000;
const IDS = Array.from({ length: 200 }, (_, n) => idOf(1 + n * 50));

// Children inherit it, PostgreSQL among them.
execFileSync('taskset', ['-a', '-c', '-p', `1-${os.cpus().length - 1}`, String(process.pid)]);
const directory = mkdtempSync(path.join(os.tmpdir(), 'overload-'));
chmodSync(directory, 0o711); // otherwise PostgreSQL, which does not run as root, could not enter it
const settings = { fsync: 'off', synchronous_commit: 'off' }; // the same as in the benchmark
const postgres = await startEmbeddedPostgres({
  directory: path.join(directory, 'postgres'),
  settings,
});
try {
  await migrate({ url: postgres.url });
  const sql = sqlTo(postgres.url, { max: 1, onnotice: () => {} });
  await fillCatalogue(sql, ROWS);
  await sql.end();
  const results = [];
  for (const name of MEASURED) results.push(await measureOverload(name));
  const neighbour = await measureNeighbour();
  const report = reportOf({ results, neighbour, seconds: options.seconds });
  console.log(report);
  if (options.write) writeReport('overload', report, 'docs/reliability.md');
  const faults = results.flatMap((result) =>
    [...faultsOf(result), ...timeFaultsOf(result)].map((fault) => `${result.name}: ${fault}`),
  );
  for (const fault of faults) console.error(fault);
  process.exitCode = faults.length > 0 ? 1 : 0;
} finally {
  await postgres.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function measureOverload(name) {
  const { method, target, body } = SCENARIOS.find((scenario) => scenario.name === name);
  const requests = IDS.map((id) => requestText({ method, target: target(id), body }));
  const proof = (service) =>
    proveOverload({ ...service, requests, capacity: CAPACITY, calmMs, ms });
  return { name, ...(await withService({ AUTH_MODE: 'none' }, proof)) };
}

async function measureNeighbour() {
  const keys = ['calm', 'greedy'].map((key) => `${key}:read:${hash('sha256', key)}`);
  const variables = {
    AUTH_MODE: 'api-key',
    AUTH_API_KEYS: keys.join(),
    RATE_LIMIT: '10000/600',
  };
  const requestsOf = (key) =>
    IDS.map((id) => requestText({ method: 'GET', target: `/api/projects/${id}`, key }));
  const proof = ({ port }) =>
    proveNeighbour({ port, requestsOf, capacity: CAPACITY, calmMs, ms: calmMs });
  return await withService(variables, proof);
}

async function withService(variables, work) {
  const service = await startServer({
    node: process.execPath,
    program: 'dist/main.js',
    env: {
      NODE_ENV: 'production',
      LOG_LEVEL: 'warn',
      DATABASE_URL: postgres.url,
      MAX_CONCURRENT_REQUESTS: String(CAPACITY),
      ...variables,
    },
    target: '/health/ready',
  });
  try {
    return await work({ port: service.port, memoryMb: service.peakMemoryMb });
  } finally {
    await service.stop();
  }
}
