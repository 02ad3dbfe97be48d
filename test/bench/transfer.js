// Compares imports and exports with PostgreSQL's own COPY of the same rows, and measures the memory of the service.
//   npm run bench:transfer -- 1000000 [--write]
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import os, { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { clearInterval, setInterval } from 'node:timers';
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../../dist/db/embedded/embedded-postgres.js';
import { migrate } from '../../dist/db/migrate.js';
import { fillCatalogue, makePlainTable } from './catalogue.js';
import { writeReport } from './report.js';

const SIZE = Number(process.argv[2]);
const COLUMNS = 'id, name, description, technologies, created_at, updated_at, version';
const FORMATS = ['ndjson', 'csv'];
const MAIN = path.resolve(import.meta.dirname, '../../dist/main.js');

if (!(SIZE >= 1000)) {
  console.error('Say how many projects, such as: npm run bench:transfer -- 1000000');
  process.exit(1);
}
const directory = mkdtempSync(path.join(tmpdir(), 'projects-bench-'));
chmodSync(directory, 0o755);
const server = await startEmbeddedPostgres({
  directory,
  settings: {
    shared_buffers: '2GB',
    max_wal_size: '8GB',
    fsync: 'off',
    synchronous_commit: 'off',
    jit: 'off',
  },
});
const file = (name) => path.join(directory, name);
const fileOf = (format) => file(`projects.${format}`);
try {
  const url = await makeCatalogue();
  const rows = [];
  for (const format of FORMATS) {
    // The comparison runs immediately before each of them, so that both find the machine in the same state.
    const copied = await onDatabase(url, (sql) => timed(() => copyTo(sql, nowhere())));
    rows.push(['COPY TO', copied]);
    const measured = await withService(
      url,
      (at) => download(at, format, nowhere()),
      async (at) => {
        await download(at, `${format}&technology=Python`, nowhere());
      },
    );
    rows.push([`export, ${format}`, measured, copied]);
    await withService(url, (at) => download(at, format, createWriteStream(fileOf(format))));
  }
  await onDatabase(url, (sql) => copyTo(sql, createWriteStream(file('rows.copy'))));
  for (const format of FORMATS) {
    await onDatabase(url, makePlainTable);
    const copied = await onDatabase(url, (sql) => copyFrom(sql, file('rows.copy')));
    await run(url, 'drop table plain');
    rows.push(['COPY FROM, into the plain table', copied]);
    await run(url, 'truncate projects');
    await run(url, 'truncate changes, change_commits');
    rows.push([`import, ${format}`, await withService(url, (at) => upload(at, format)), copied]);
  }
  const report = reportOf(rows);
  console.log(report);
  if (process.argv.includes('--write')) writeReport('transfer', report);
} finally {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
}

/** A separate client that is discarded, because postgres.js does not always recover from a COPY. */
async function onDatabase(url, work) {
  const sql = postgres(url, { max: 1, onnotice: () => {}, fetch_types: false });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function run(url, statement) {
  await onDatabase(url, (sql) => sql.unsafe(statement));
}

async function makeCatalogue() {
  const url = new URL(server.url);
  url.pathname = 'catalogue';
  await run(server.url, 'create database catalogue');
  await migrate({ url: url.href });
  await onDatabase(url.href, (sql) => fillCatalogue(sql, SIZE));
  return url.href;
}

async function timed(work) {
  const startedAt = performance.now();
  await work();
  return { seconds: (performance.now() - startedAt) / 1000 };
}

/** In the order of an export, so that both read the same pages. */
async function copyTo(sql, to) {
  const query = `copy (select ${COLUMNS} from projects order by created_at desc, id desc) to stdout`;
  await pipeline(await sql.unsafe(query).readable(), to);
}

/** This measures how fast rows are delivered. A program that stores them would use the same core here. */
function nowhere() {
  return new Writable({ write: (_part, _encoding, done) => done() });
}

/** The version, which the plain table does not have, goes into a column without an index. */
async function copyFrom(sql, from) {
  await sql.unsafe('alter table plain add column version integer');
  return await timed(async () =>
    pipeline(
      createReadStream(from),
      await sql.unsafe(`copy plain (${COLUMNS}) from stdin`).writable(),
    ),
  );
}

async function download(url, format, to) {
  const response = await new Promise((resolve) =>
    http.get(`${url}/api/projects/export?format=${format}`, resolve),
  );
  await pipeline(response, to);
}

async function upload(url, format) {
  const type = { ndjson: 'application/x-ndjson', csv: 'text/csv' }[format];
  const request = http.request(`${url}/api/projects/import`, {
    method: 'POST',
    headers: { 'Content-Type': type },
  });
  const answered = new Promise((resolve) => request.on('response', resolve));
  await pipeline(createReadStream(fileOf(format)), request);
  let text = '';
  for await (const chunk of await answered) text += chunk;
  const { data } = JSON.parse(text);
  if (data?.created !== SIZE) throw new Error(text);
}

/**
 * Returns the time of the work, and the resident memory of the service before it and at its maximum. The service is
 * warmed up, as in production: the first export of a process takes about 0.15 s longer, because V8 compiles its code.
 */
async function withService(url, work, warm = () => undefined) {
  const child = spawn(process.execPath, [MAIN], {
    env: { PATH: process.env.PATH, DATABASE_URL: url, PORT: '0', LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const at = await listening(child);
    await (await fetch(`${at}/api/projects?limit=200`)).text();
    await warm(at);
    const memoryMb = () => Number(execFileSync('ps', ['-o', 'rss=', '-p', child.pid])) / 1024;
    const before = memoryMb();
    let most = before;
    const looking = setInterval(() => (most = Math.max(most, memoryMb())), 100);
    const { seconds } = await timed(() => work(at));
    clearInterval(looking);
    return { seconds, before, most };
  } finally {
    child.kill();
  }
}

async function listening(child) {
  for await (const line of createInterface(child.stdout)) {
    const [, url] = /listens on (\S+),/.exec(line) ?? [];
    if (url) {
      child.stdout.resume();
      return url;
    }
  }
  throw new Error('The service did not start.');
}

function reportOf(rows) {
  const [{ model }] = os.cpus();
  const lines = rows.map(([name, { seconds, before, most }, copied]) => {
    const ratio = copied ? (copied.seconds / seconds).toFixed(2) : '';
    const memory = before ? `${Math.round(before)} + ${Math.round(most - before)}` : '';
    const speed = Math.round(SIZE / seconds).toLocaleString('en');
    return `| ${name} | ${seconds.toFixed(1)} | ${speed} | ${ratio} | ${memory} |`;
  });
  return [
    `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${os.cpus().length} cores (${model.trim()}), ${SIZE.toLocaleString('en')} projects.`,
    '',
    '| | seconds | rows/s | ratio to COPY |  resident memory before + growth, MB |',
    '| --- | ---: | ---: | ---: | ---: |',
    ...lines,
  ].join('\n');
}
