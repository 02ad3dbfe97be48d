// npm run bench: compares the service, as it runs in production, with the limit (limit.js), on the same rows in the
// same PostgreSQL. The server under load has the first core; the load and the database have the others.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { migrate } from '../../dist/db/migrate.js';
import { startEmbeddedPostgres } from '../../dist/db/embedded/embedded-postgres.js';
import sqlTo from 'postgres';
import { fillCatalogue, fillPlainTable, idOf } from './catalogue.js';
import { measureCallers } from './callers.js';
import { load, requireWrk, WARM_UP_SECONDS } from './load.js';
import { nodeOf, versionOf } from './node.js';
import { correctedPostgresJs } from './postgres-js.js';
import { writeReport } from './report.js';
import { SCENARIOS } from './scenarios.js';
import { startServer } from './server.js';

const USAGE = `npm run bench -- [options]
  --rows 100000      how many projects there are
  --rounds 11        of each scenario
  --seconds 2        of load in each round: short, for the pace of a machine changes
  --connections 32   of the load
  --node 20 --node 24   versions, from the npm package node; without it the one that runs this
  --only filter      scenarios whose name holds this, or callers: authentication and metrics; repeatable
  --write            put the table into docs/performance.md
  --soak 10          minutes of GET by id, each compared with the first; nothing else is measured`;

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '11' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '32' },
    node: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', multiple: true, default: [''] },
    soak: { type: 'string' },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const isAsked = (name) => options.only.some((part) => name.includes(part));
const scenarios = SCENARIOS.filter(({ name }) => isAsked(name));
/** For the part about authentication and metrics. */
const CALLERS = 'callers';

/** Ids of some rows, from all parts of the table. */
const IDS = Array.from({ length: 500 }, (_, n) =>
  idOf(1 + Math.floor((n / 500) * Number(options.rows))),
);
const FIRST = `/api/projects/${IDS[0]}`;

if (options.help) {
  console.log(USAGE);
} else if (scenarios.length === 0 && !isAsked(CALLERS)) {
  console.error(
    `No scenario has such a name: ${[...SCENARIOS.map(({ name }) => name), CALLERS].join(', ')}`,
  );
  process.exitCode = 1;
} else await main();

async function main() {
  await requireWrk();
  // Child processes inherit it, such as PostgreSQL and wrk.
  execFileSync('taskset', ['-a', '-c', '-p', `1-${os.cpus().length - 1}`, String(process.pid)]);
  const directory = mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  chmodSync(directory, 0o711); // otherwise PostgreSQL, which does not run as root, could not enter it
  const postgres = await startEmbeddedPostgres({
    directory: path.join(directory, 'postgres'),
    // Otherwise writes would wait for the disk, and so would both servers.
    settings: { fsync: 'off', synchronous_commit: 'off', shared_buffers: '512MB', jit: 'off' },
  });
  try {
    await migrate({ url: postgres.url });
    const sql = sqlTo(postgres.url, { max: 1, onnotice: () => {} });
    await fillCatalogue(sql, Number(options.rows));
    await fillPlainTable(sql);
    await sql.unsafe('vacuum analyze plain');
    await sql.end();
    const driver = correctedPostgresJs(path.join(directory, 'postgres-js'));
    const setting = { url: postgres.url, driver, directory };
    const nodes = options.node.length > 0 ? options.node.map(nodeOf) : [process.execPath];
    if (options.soak) await print('soak', nodes, (node) => soak(node, setting));
    else {
      if (scenarios.length > 0) await print('bench', nodes, (node) => measure(node, setting));
      if (isAsked(CALLERS)) await print(CALLERS, nodes, (node) => compareCallers(node, setting));
    }
  } finally {
    await postgres.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function print(kind, nodes, measure) {
  const reports = [];
  for (const node of nodes) reports.push(await measure(node));
  console.log(reports.join('\n'));
  if (options.write) writeReport(kind, reports.join('\n'));
}

async function measure(node, setting) {
  const servers = await startBoth(node, setting);
  try {
    await compareAnswers(servers);
    const results = await rounds(servers, setting);
    return report(node, results, servers);
  } finally {
    await Promise.all(Object.values(servers).map(({ stop }) => stop()));
    await removeWritten(setting.url);
  }
}

/** Removes the created rows, so that another version of Node is measured with the same rows. */
async function removeWritten(url) {
  const sql = sqlTo(url, { max: 1, onnotice: () => {} });
  await sql`delete from projects where id::text not like '00000000-%'`;
  await sql`delete from plain where id::text not like '00000000-%'`;
  await sql.unsafe('vacuum analyze');
  await sql.end();
}

async function startBoth(node, { url, driver }) {
  const limit = await startServer({
    node,
    program: path.join(import.meta.dirname, 'limit.js'),
    env: { DATABASE_URL: url, POSTGRES_JS: driver },
    target: FIRST,
  });
  return { limit, service: await startService(node, url) };
}

/** All options are on, as in production. */
function startService(node, url) {
  const env = { NODE_ENV: 'production', AUTH_MODE: 'none', LOG_LEVEL: 'warn', DATABASE_URL: url };
  return startServer({ node, program: 'dist/main.js', env, target: FIRST });
}

/** Throws unless both give the same answer in each scenario, except for the parts that differ in each written row. */
async function compareAnswers(servers) {
  for (const { name, method, target, body } of scenarios) {
    const [limit, service] = await Promise.all(
      Object.values(servers).map(async ({ port }) => {
        const response = await fetch(`http://127.0.0.1:${port}${target(IDS[0])}`, {
          method,
          ...(body && {
            body: JSON.stringify(body),
            headers: { 'Content-Type': 'application/json' },
          }),
        });
        const written = method === 'GET' ? [] : ['id', 'createdAt', 'updatedAt', 'version'];
        const own = ['nextCursor', ...written];
        const hide = (key, value) => (own.includes(key) ? typeof value : value);
        const type = response.headers.get('content-type');
        return `${response.status} ${type} ${JSON.stringify(await response.json(), hide)}`;
      }),
    );
    if (limit !== service) throw new Error(`${name} differs:\n${limit}\n${service}`);
  }
}

/**
 * Measures the requests a second by scenario: a warm-up of both, then the limit and the service alternate. Reads
 * come first, because writes would change their results.
 */
async function rounds(servers, setting) {
  const results = scenarios.map((scenario) => ({ scenario, limit: [], service: [] }));
  for (const result of results) {
    const askFor = (who, seconds) => ask(servers[who].port, result.scenario, setting, seconds);
    for (const who of ['limit', 'service']) await askFor(who, WARM_UP_SECONDS);
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const who of ['limit', 'service']) {
        result[who].push(await askFor(who, options.seconds));
      }
    }
  }
  return results;
}

function ask(port, scenario, { directory }, seconds) {
  return load({ port, scenario, ids: IDS, seconds, connections: options.connections, directory });
}

function report(node, results, { limit, service }) {
  const rows = results.map(({ scenario, limit, service }) => {
    const ratios = service.map((rate, round) => rate / limit[round]);
    const range = `${Math.min(...ratios).toFixed(2)} - ${Math.max(...ratios).toFixed(2)}`;
    const rates = [limit, service].map((all) => Math.round(median(all)).toLocaleString('en'));
    return [scenario.name, ...rates, median(ratios).toFixed(2), range];
  });
  return [
    ...heading(node),
    '',
    '| | limit, requests/s | service, requests/s | ratio | lowest - highest round |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    `| start to the first 200, ms | ${limit.startMs} | ${service.startMs} | | |`,
    `| memory after the load, MB | ${limit.memoryMb()} | ${service.memoryMb()} | | |`,
    '',
  ].join('\n');
}

/** Measures GET by id with authentication and metrics, compared with the service without them. */
async function compareCallers(node, setting) {
  const [rounds, seconds] = [Number(options.rounds), Number(options.seconds)];
  const askOne = (port, headers, time) => ask(port, { ...SCENARIOS[0], headers }, setting, time);
  const results = await measureCallers({ node, url: setting.url, rounds, seconds, ask: askOne });
  const [without] = results;
  const rows = results.map(({ name, rates, least }) => {
    const ratios = rates.map((rate, round) => rate / without.rates[round]);
    const range = `${Math.min(...ratios).toFixed(2)} - ${Math.max(...ratios).toFixed(2)}`;
    const rate = Math.round(median(rates)).toLocaleString('en');
    return `| ${name} | ${rate} | ${median(ratios).toFixed(2)} | ${least ?? ''} | ${range} |`;
  });
  return [
    ...heading(node),
    '',
    '| GET by id with | requests/s | ratio | required | lowest - highest round |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...rows,
    '',
  ].join('\n');
}

/** Compares each minute with the first one, which would show a service that becomes slower. */
async function soak(node, setting) {
  const service = await startService(node, setting.url);
  try {
    await ask(service.port, SCENARIOS[0], setting, 5);
    const rates = [];
    for (let minute = 0; minute < Number(options.soak); minute++) {
      rates.push(await ask(service.port, SCENARIOS[0], setting, 60));
    }
    const ratios = rates.map((rate) => (rate / rates[0]).toFixed(2));
    const text = `GET by id, each minute against the first: ${ratios.join(', ')}.`;
    return [...heading(node), '', text, ''].join('\n');
  } finally {
    await service.stop();
  }
}

function heading(node) {
  const { model } = os.cpus()[0];
  return [
    `### Node ${versionOf(node)}`,
    '',
    `${new Date().toISOString().slice(0, 10)}, ${os.cpus().length} cores (${model.trim()}), ${Number(options.rows).toLocaleString('en')} rows, ${options.connections} connections.`,
  ];
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
