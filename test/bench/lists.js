// Measures how lists grow: the same queries on catalogues of several sizes, on one connection, after a warm-up. It
// also prints PostgreSQL's plans for the last size.
//   npm run bench:lists -- 10000 1000000 [--write] [--url postgres://…/…]
// It uses a separate PostgreSQL, or separate databases on the server of the URL.
import { mkdtempSync, rmSync, chmodSync } from 'node:fs';
import os, { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import { createDatabaseConnection } from '../../dist/db/connection.js';
import { startEmbeddedPostgres } from '../../dist/db/embedded/embedded-postgres.js';
import { createProjectsFactory } from '../../dist/db/factories/projects/projects.factory.js';
import { createTechnologiesFactory } from '../../dist/db/factories/technologies.factory.js';
import { migrate } from '../../dist/db/migrate.js';
import { fillCatalogue } from './catalogue.js';
import { writeReport } from './report.js';

const { values: options, positionals } = parseArgs({
  options: { write: { type: 'boolean', default: false }, url: { type: 'string' } },
  allowPositionals: true,
});
const SIZES = positionals.map(Number);
const RUNS = 200;
const LAST_ID = 'ffffffff-ffff-4fff-8fff-ffffffffffff';

/** Each query with its limit: a ratio to the smallest size, or a 95th percentile in ms. */
const cases = (size) => ({
  'first page': [{}, 'ratio 1.5'],
  'a page far on': [{ after: { key: momentOf(size / 10), id: LAST_ID } }, 'ratio 1.5'],
  'by name, far on': [{ sortBy: 'name', after: { key: 'M', id: LAST_ID } }, 'ratio 1.5'],
  'by updatedAt': [{ sortBy: 'updatedAt', descending: false }, 'ratio 1.5'],
  'technology, 20 %': [{ technology: ['Python'] }, '5 ms'],
  'technology, 1 %': [{ technology: ['Framework 3'] }, '5 ms'],
  'technology, 0.1 %': [{ technology: ['Library 7'] }, '5 ms'],
  'technology, 0.001 %': [{ technology: ['Rarity 7'] }, '5 ms'],
  'two technologies, 20 % and 20 %': [{ technology: ['Python', 'React'] }, '20 ms'],
  'two technologies, 20 % and 1 %': [{ technology: ['Python', 'Framework 3'] }, '20 ms'],
  'two technologies, 1 % and 0.1 %': [{ technology: ['Framework 3', 'Library 7'] }, '20 ms'],
  'one of three technologies': [{ anyTechnology: ['Python', 'Library 7', 'Rarity 3'] }, '5 ms'],
  'technology 20 % and a common word': [{ technology: ['Python'], q: 'platform' }, '20 ms'],
  'technology 20 % and a medium word': [{ technology: ['Python'], q: 'xideka' }, '20 ms'],
  'technology 20 % and a rare word': [{ technology: ['Python'], q: 'quokka' }, '20 ms'],
  'technology 0.1 % and a common word': [{ technology: ['Library 7'], q: 'platform' }, '20 ms'],
  'common words': [{ q: 'platform' }, '50 ms'],
  'two common words': [{ q: 'python platform' }, '50 ms'],
  'a medium word': [{ q: 'xideka' }, '50 ms'],
  'a rare word': [{ q: 'quokka' }, '50 ms'],
  'a typo': [{ q: 'wesonume' }, '50 ms'],
  'estimated count': [{ count: 'estimated', limit: 1 }, '5 ms'],
  'technology 1 %, by name': [{ technology: ['Framework 3'], sortBy: 'name' }, ''],
  technologies: ['technologies', '5 ms'],
});

if (SIZES.length === 0 || SIZES.some((size) => !(size >= 1000))) {
  console.error('Name the sizes, such as: npm run bench:lists -- 10000 1000000');
  process.exit(1);
}
/** The created databases. */
const made = [];
const server = options.url ? serverAt(options.url) : await startServer();
try {
  const catalogues = [];
  for (const size of SIZES) catalogues.push(open(size, await makeCatalogue(size)));
  for (const name of Object.keys(cases(SIZES[0]))) await measure(name, catalogues);
  for (const { close } of catalogues) await close();
  const report = [
    await heading(),
    '',
    ...tableOf(catalogues),
    '',
    ...planTableOf(catalogues.at(-1)),
  ].join('\n');
  console.log(report);
  if (options.write) writeReport('growth', report);
} finally {
  await server.stop();
}

async function startServer() {
  const directory = mkdtempSync(path.join(tmpdir(), 'projects-bench-'));
  chmodSync(directory, 0o755);
  const { url, stop } = await startEmbeddedPostgres({
    directory,
    settings: {
      shared_buffers: '2GB',
      max_wal_size: '4GB',
      fsync: 'off',
      synchronous_commit: 'off',
      jit: 'off',
    },
  });
  return {
    url,
    stop: async () => {
      await stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Uses a running server, and removes the created databases afterwards. */
function serverAt(url) {
  return {
    url,
    stop: () =>
      onServer(async (sql) => {
        for (const name of made) await sql.unsafe(`drop database ${name} with (force)`);
      }),
  };
}

async function onServer(work) {
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  try {
    return await work(sql);
  } finally {
    await sql.end();
  }
}

function open(size, url) {
  const { db, close } = createDatabaseConnection({ url, max: 1, statement_timeout_ms: 60_000 });
  const projects = createProjectsFactory(db);
  const technologies = createTechnologiesFactory(db);
  const run = (query) =>
    query === 'technologies' ? technologies.getTechnologies() : projects.listProjects(query);
  return { size, db, close, run, times: {}, plans: {} };
}

/** Measures one query at every size. The sizes alternate, so that a disturbance affects all of them. */
async function measure(name, catalogues) {
  const queries = catalogues.map(({ size }) => cases(size)[name][0]);
  const taken = catalogues.map(() => []);
  for (let i = -5; i < RUNS; i++) {
    for (const [n, { run }] of catalogues.entries()) {
      const startedAt = performance.now();
      await run(queries[n]);
      if (i >= 0) taken[n].push(performance.now() - startedAt); // the earlier rounds only warm up
    }
  }
  for (const [n, { times, plans, db }] of catalogues.entries()) {
    const sorted = taken[n].toSorted((a, b) => a - b);
    times[name] = { median: sorted[RUNS / 2], p95: sorted[Math.floor(RUNS * 0.95)] };
    if (queries[n] !== 'technologies') plans[name] = await plansOf(db.$client, queries[n]);
  }
}

async function plansOf(client, query) {
  const sent = [];
  const logger = { logQuery: (text, params) => sent.push({ text, params }) };
  await createProjectsFactory(drizzle(client, { logger })).listProjects(query);
  return Promise.all(sent.map((one) => planOf(client, one)));
}

async function makeCatalogue(size) {
  const name = `projects_bench_${size}`;
  await onServer((sql) => sql.unsafe(`create database ${name}`));
  made.push(name);
  const url = new URL(server.url);
  url.pathname = name;
  await migrate({ url: url.href });
  const sql = postgres(url.href, { max: 1, onnotice: () => {} });
  const startedAt = performance.now();
  await fillCatalogue(sql, size);
  await sql.end();
  console.error(`${size} projects made in ${Math.round((performance.now() - startedAt) / 1000)} s`);
  return url.href;
}

function momentOf(i) {
  return new Date(Date.UTC(2020, 0, 1) + Math.round(i) * 10_000).toISOString();
}

/** Returns the median and the 95th percentile in milliseconds at each size, as a Markdown table. */
function tableOf(results) {
  const sizes = results.map(({ size }) => size.toLocaleString('en'));
  const rows = Object.entries(cases(SIZES[0])).map(([name, [, limit]]) => {
    const cells = results.map(
      ({ times }) => `${times[name].median.toFixed(2)} (${times[name].p95.toFixed(2)})`,
    );
    const ratio = results.at(-1).times[name].median / results[0].times[name].median;
    return `| ${name} | ${limit} | ${cells.join(' | ')} | ${ratio.toFixed(2)} |`;
  });
  return [
    `| query | limit | ${sizes.join(' | ')} | ratio |`,
    `| --- | --- | ${sizes.map(() => '---:').join(' | ')} | ---: |`,
    ...rows,
  ];
}

/** Returns the plans at one size, for each statement, as a Markdown table. */
function planTableOf({ size, plans }) {
  const rows = Object.entries(plans).map(
    ([name, statements]) => `| ${name} | ${statements.filter(Boolean).join('; then ')} |`,
  );
  return [`| query at ${size.toLocaleString('en')} | plan |`, '| --- | --- |', ...rows];
}

/** Describes the nodes of a plan, the outermost first: `Limit of Index Scan Backward by projects_name_id_index`. */
async function planOf(client, { text, params }) {
  if (text.startsWith('explain')) return 'the plan itself, for its estimate';
  const [row] = await client.unsafe(`explain (format json) ${text}`, params);
  const plan = row['QUERY PLAN'];
  return describe((typeof plan === 'string' ? JSON.parse(plan) : plan)[0].Plan);
}

function describe(node) {
  const own = [
    node['Node Type'],
    node['Scan Direction'] === 'Backward' ? 'Backward' : '',
    node['Index Name']
      ? `by \`${node['Index Name']}\``
      : node['Relation Name']
        ? `of \`${node['Relation Name']}\``
        : '',
  ];
  const below = (node.Plans ?? []).map(describe).filter((text) => text !== 'Result');
  const text = own.filter(Boolean).join(' ');
  if (below.length === 0) return text;
  return below.length === 1 ? `${text} < ${below[0]}` : `${text} < (${below.join(', ')})`;
}

async function heading() {
  const { model } = os.cpus()[0];
  return `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${await onServer(buildOf)}, ${os.cpus().length} cores (${model.trim()}): median (95th percentile) of ${RUNS} runs, in milliseconds.`;
}

/** Returns the version and the optimization: a build for size needs more time for a row than one for speed. */
async function buildOf(sql) {
  const [{ version }] = await sql`select current_setting('server_version') as version`;
  const [flags] = await sql`select setting from pg_config where name = 'CFLAGS'`.catch(() => []);
  const optimization = flags?.setting.match(/-O\S*/g)?.at(-1);
  return `PostgreSQL ${version}${optimization ? ` built with ${optimization}` : ''}`;
}
