// npm run bench:rivals -- [--only POST]: compares the service with programs that a user would have without it, on the
// plain table (catalogue.js) in the same PostgreSQL: bare node:http, Express with pg, and naive Nest with drizzle. It
// measures the time to the first 200, and the requests a second. The server under load has the first core; the load
// and the database have the others. The rounds alternate.
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../../dist/db/embedded/embedded-postgres.js';
import { migrate } from '../../dist/db/migrate.js';
import { fillCatalogue, idOf, fillPlainTable } from './catalogue.js';
import { load, requireWrk, WARM_UP_SECONDS } from './load.js';
import { nodeOf, versionOf } from './node.js';
import { correctedPostgresJs } from './postgres-js.js';
import { writeReport } from './report.js';
import { startServer } from './server.js';

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '20000' },
    starts: { type: 'string', default: '7' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '32' },
    node: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', multiple: true, default: [''] },
    write: { type: 'boolean', default: false },
  },
});

const RIVALS = {
  'bare node:http': 'test/bench/rivals/http.js',
  'Express and pg': 'test/bench/rivals/express.js',
  'naive Nest': 'test/bench/rivals/nest.js',
  service: 'dist/main.js',
};
const FIRST = `/api/projects/${idOf(1)}`;
const IDS = Array.from({ length: 500 }, (_, n) => idOf(1 + n * 7));
const NEW = { name: 'Bench project', description: 'Lorem ipsum.', technologies: ['SQL', 'C'] };
const item = (id) => `/api/projects/${id}`;
const SCENARIOS = [
  { name: 'GET by id', method: 'GET', target: item },
  {
    name: 'technology filter',
    method: 'GET',
    target: () => '/api/projects?technology=Python&limit=50',
  },
  {
    name: '50 different technology filters',
    method: 'GET',
    target: (id) =>
      `/api/projects?technology=Framework%20${parseInt(id.slice(-12), 16) % 50}&limit=50`,
  },
  { name: 'POST', method: 'POST', target: () => '/api/projects', body: NEW },
  { name: 'PATCH', method: 'PATCH', target: item, body: { description: 'Dolor sit amet.' } },
  { name: 'PUT', method: 'PUT', target: item, body: NEW },
];

if (Number(options.rounds) > 0) await requireWrk();
// Child processes inherit it, such as PostgreSQL and wrk.
execFileSync('taskset', ['-a', '-c', '-p', `1-${os.cpus().length - 1}`, String(process.pid)]);
const directory = mkdtempSync(path.join(os.tmpdir(), 'bench-'));
chmodSync(directory, 0o711); // otherwise PostgreSQL, which does not run as root, could not enter it
const server = await startEmbeddedPostgres({
  directory: path.join(directory, 'postgres'),
  settings: { fsync: 'off', synchronous_commit: 'off', shared_buffers: '512MB', jit: 'off' },
});
const driver = correctedPostgresJs(path.join(directory, 'postgres-js'));
try {
  await fill();
  const nodes = options.node.length > 0 ? options.node.map(nodeOf) : [process.execPath];
  const reports = [];
  for (const node of nodes) reports.push(await measure(node));
  console.log(reports.join('\n'));
  if (options.write) writeReport('rivals', reports.join('\n'));
} finally {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
}

async function fill() {
  await migrate({ url: server.url });
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  await fillCatalogue(sql, Number(options.rows));
  await fillPlainTable(sql);
  await sql.unsafe('vacuum analyze');
  await sql.end();
}

async function measure(node) {
  const starts = await measureStarts(node);
  const rates = Number(options.rounds) > 0 ? await measureRates(node) : [];
  return [...heading(node), '', ...startTable(starts), '', ...rateTable(rates), ''].join('\n');
}

/** The milliseconds to the first 200 and to the end of `cli status`, one value for each round. */
async function measureStarts(node) {
  const times = Object.fromEntries([...Object.keys(RIVALS), 'cli status'].map((who) => [who, []]));
  for (let round = 0; round < Number(options.starts); round++) {
    for (const who of Object.keys(RIVALS)) {
      const started = await start(node, who);
      times[who].push(started.startMs);
      await started.stop();
    }
    const began = performance.now();
    execFileSync('taskset', ['-c', '0', node, 'dist/cli/main.js', 'status'], {
      env: environment(),
    });
    times['cli status'].push(performance.now() - began);
  }
  return times;
}

async function measureRates(node) {
  const servers = [];
  for (const who of Object.keys(RIVALS)) servers.push([who, await start(node, who)]);
  try {
    const asked = SCENARIOS.filter(({ name }) => options.only.some((part) => name.includes(part)));
    const results = asked.map((scenario) => ({ scenario, rates: {} }));
    for (const { scenario, rates } of results) {
      const ask = (port, seconds) =>
        load({ ...options, seconds, port, scenario, ids: IDS, directory });
      for (const [, { port }] of servers) await ask(port, WARM_UP_SECONDS);
      for (let round = 0; round < Number(options.rounds); round++) {
        for (const [who, { port }] of servers) {
          (rates[who] ??= []).push(await ask(port, options.seconds));
        }
      }
    }
    return results;
  } finally {
    for (const [, { stop }] of servers) await stop();
    await removeWritten();
  }
}

/**
 * Removes the created rows, so that another version of Node is measured with the same rows, and a filter finds no
 * others.
 */
async function removeWritten() {
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  for (const table of ['projects', 'plain'])
    await sql.unsafe(`delete from ${table} where id::text not like '00000000-%'`);
  await sql.unsafe('vacuum analyze');
  await sql.end();
}

function start(node, who) {
  return startServer({ node, program: RIVALS[who], env: environment(), target: FIRST });
}

/** All options are on, as in production. The rivals read only the URL, and the bare server the driver. */
function environment() {
  const { PATH } = process.env;
  const production = { NODE_ENV: 'production', AUTH_MODE: 'none', LOG_LEVEL: 'warn' };
  return { PATH, ...production, DATABASE_URL: server.url, POSTGRES_JS: driver };
}

function startTable(times) {
  const nest = median(times['naive Nest']);
  return [
    '| start to the first 200 | ms | in starts of naive Nest | lowest - highest |',
    '| --- | ---: | ---: | ---: |',
    ...Object.entries(times).map(([who, all]) => {
      const range = [Math.min(...all), Math.max(...all)].map(Math.round).join(' - ');
      return `| ${who} | ${Math.round(median(all))} | ${(median(all) / nest).toFixed(2)} | ${range} |`;
    }),
  ];
}

/** Returns the requests a second of the bare server, and for the others their ratio to it in the same round. */
function rateTable(results) {
  const [bare, ...others] = Object.keys(RIVALS);
  if (results.length === 0) return [];
  return [
    `| | ${bare}, requests/s | ${others.join(' | ')} |`,
    `| --- | ---: |${' ---: |'.repeat(others.length)}`,
    ...results.map(({ scenario, rates }) => {
      const ratios = others.map((who) =>
        median(rates[who].map((rate, n) => rate / rates[bare][n])),
      );
      const first = Math.round(median(rates[bare])).toLocaleString('en');
      return `| ${scenario.name} | ${first} | ${ratios.map((ratio) => ratio.toFixed(2)).join(' | ')} |`;
    }),
  ];
}

function heading(node) {
  const rows = Number(options.rows).toLocaleString('en');
  return [
    `### Node ${versionOf(node)}`,
    '',
    `${new Date().toISOString().slice(0, 10)}, ${os.cpus().length} cores (${os.cpus()[0].model.trim()}), ${rows} rows, ${options.connections} connections.`,
  ];
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
