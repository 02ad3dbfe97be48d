// npm run dashboard: puts load on the built service for a minute, reads /metrics every second, and draws
// docs/assets/dashboard.png with the titles of docs/grafana/projects-service.json. It needs Chromium.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { startServer } from './server.js';

const SECONDS = 60;
const COLOURS = ['#3274d9', '#56a64b', '#e0752d', '#c4162a', '#8f3bb8', '#1f9e9e', '#b8860b'];

const directory = mkdtempSync(path.join(os.tmpdir(), 'dashboard-'));
chmodSync(directory, 0o755);
const service = await startServer({
  node: process.execPath,
  program: path.resolve('dist/main.js'),
  env: {
    EMBEDDED_POSTGRES_DIR: path.join(directory, 'postgres'),
    LOG_LEVEL: 'warn',
    RATE_LIMIT: '1000000/60',
    MAX_CONCURRENT_REQUESTS: '32',
  },
  target: '/api/projects?limit=1',
});
const url = `http://127.0.0.1:${service.port}`;
const scrapes = [];
let stopping = false;
try {
  await Promise.all([follow(), ...Array.from({ length: 90 }, (_, n) => client(n)), watch()]);
} finally {
  await service.stop();
  rmSync(directory, { recursive: true, force: true });
}
await draw();

/**
 * The first ten clients work all the time. The others join in the middle, and then there are more than the service
 * accepts at once.
 */
async function client(n) {
  if (n >= 10) await sleep(SECONDS * 400);
  const until = performance.now() + SECONDS * (n >= 10 ? 250 : 1000);
  const made = [];
  while (!stopping && performance.now() < until) {
    const write = Math.random() < 0.2 || made.length === 0;
    const target = write ? '' : Math.random() < 0.3 ? '?q=load&limit=5' : `/${made.at(-1)}`;
    const response = await fetch(`${url}/api/projects${target}`, {
      ...(write && {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({
          name: 'Under load',
          description: 'A load',
          technologies: ['Node.js'],
        }),
      }),
    }).catch(() => undefined);
    const body = await response?.json().catch(() => undefined);
    if (write && body?.success) made.push(body.data.id);
    await sleep(20);
  }
}

async function follow() {
  const controller = new AbortController();
  const headers = { Accept: 'text/event-stream' };
  const { body } = await fetch(`${url}/api/projects/changes`, {
    headers,
    signal: controller.signal,
  });
  void sleep(SECONDS * 1000).then(() => controller.abort());
  const reader = body.getReader();
  while (!(await reader.read().catch(() => ({ done: true }))).done);
}

async function watch() {
  for (let second = 0; second <= SECONDS; second++) {
    const text = await (await fetch(`${url}/metrics`)).text();
    scrapes.push({ at: performance.now() / 1000, samples: samplesOf(text) });
    await sleep(1000);
  }
  stopping = true;
}

/** The metric, the labels and the value of each line. */
function samplesOf(text) {
  return [...text.matchAll(/^(\w+?)(?:\{(.*)\})? (\S+)$/gm)].map(
    ([, name, labels = '', value]) => ({
      name,
      labels: Object.fromEntries(
        [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, k, v]) => [k, v]),
      ),
      value: Number(value),
    }),
  );
}

function sum(scrape, name, where = () => true) {
  const found = scrape.samples.filter((sample) => sample.name === name && where(sample.labels));
  return found.reduce((total, { value }) => total + value, 0);
}

/** The growth of a counter for each second, for each value of a label. */
function rates(name, label, keep = () => true) {
  const values = labelValues(name, label).filter(keep);
  return values.map((value) => ({
    title: value,
    points: windows(([from, to]) => {
      const is = (labels) => labels[label] === value;
      return (sum(to, name, is) - sum(from, name, is)) / (to.at - from.at);
    }),
  }));
}

function quantile(name, q, title, is = () => true) {
  const points = windows(([from, to]) => {
    const edges = labelValues(`${name}_bucket`, 'le')
      .map(edgeOf)
      .sort((a, b) => a - b);
    const below = (edge) => {
      const here = (labels) => edgeOf(labels.le) === edge && is(labels);
      return sum(to, `${name}_bucket`, here) - sum(from, `${name}_bucket`, here);
    };
    const total = below(Infinity);
    const edge = edges.findIndex((value) => below(value) >= q * total);
    if (total === 0 || edges[edge] === Infinity) return total === 0 ? undefined : edges.at(-2);
    const [low, lowEdge] = edge === 0 ? [0, 0] : [below(edges[edge - 1]), edges[edge - 1]];
    const share = (q * total - low) / (below(edges[edge]) - low || 1);
    return lowEdge + share * (edges[edge] - lowEdge);
  });
  return { title, points };
}

function gauges(name, label) {
  const titles = label ? labelValues(name, label) : [name];
  return titles.map((title) => ({
    title,
    points: scrapes.map((scrape) =>
      sum(scrape, name, (labels) => !label || labels[label] === title),
    ),
  }));
}

function labelValues(name, label) {
  const samples = scrapes.at(-1).samples.filter((sample) => sample.name === name);
  return [...new Set(samples.map(({ labels }) => labels[label]))].sort();
}

function edgeOf(text) {
  return text === '+Inf' ? Infinity : Number(text);
}

/** Rates over five seconds, because Grafana's rate interval is longer than a scrape. */
function windows(measure) {
  return scrapes.slice(5).map((to, i) => measure([scrapes[i], to]));
}

/** The series of each panel, as the queries in the dashboard select them. */
function seriesOf() {
  const http = 'http_request_duration_seconds';
  const by = (name, label) =>
    labelValues(`${name}_bucket`, label).map((value) =>
      quantile(name, 0.99, value, (labels) => labels[label] === value),
    );
  return {
    'Requests by status': rates(`${http}_count`, 'status'),
    'Time of requests': [0.5, 0.95, 0.99].map((q) => quantile(http, q, `p${q * 100}`)),
    'p99 by route': by(http, 'route'),
    'Refused and failed': rates(`${http}_count`, 'status', (s) =>
      /^(401|403|429|5..|aborted)$/.test(s),
    ),
    Connections: [...gauges('db_pool_sessions', 'state'), ...gauges('db_pool_waiting')],
    'Waits for a connection': [quantile('db_acquire_seconds', 0.99, 'p99')],
    'Time of statements': by('db_statement_seconds', 'operation'),
    Statements: rates('db_statement_seconds_count', 'operation'),
    'Event loop delay': gauges('nodejs_eventloop_delay_seconds', 'quantile'),
    'Lag of the change feed': gauges('changes_feed_lag_seconds'),
  };
}

async function draw() {
  const { panels, title } = JSON.parse(readFileSync('docs/grafana/projects-service.json', 'utf8'));
  const series = seriesOf();
  const drawn = panels.map((panel) => chart(panel, series[panel.title])).join('');
  const executablePath = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find(exists);
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  const page = await browser.newPage({ viewport: { width: 1240, height: 1150 } });
  await page.setContent(`<style>body{margin:16px;font:13px sans-serif;color:#333}h1{font-size:18px}
    main{display:grid;grid-template-columns:1fr 1fr;gap:12px}section{border:1px solid #ddd;padding:8px}
    h2{font-size:14px;margin:0 0 4px}span{margin-right:12px}</style><h1>${title}</h1><main>${drawn}</main>`);
  writeFileSync('docs/assets/dashboard.png', await page.screenshot({ fullPage: true }));
  await browser.close();
  console.log('docs/assets/dashboard.png');
}

function exists(file) {
  try {
    return readFileSync(file).length > 0;
  } catch {
    return false;
  }
}

function chart({ title, fieldConfig }, series) {
  const [width, height] = [560, 150];
  const shown = series.filter(({ points }) => points.some((value) => value > 0)).slice(0, 7);
  const top = Math.max(
    1e-9,
    ...shown.flatMap(({ points }) => points.filter((v) => v !== undefined)),
  );
  const lines = shown.map(({ points }, n) => {
    const at = points.map((value, i) =>
      value === undefined
        ? ''
        : `${40 + ((width - 40) * i) / (points.length - 1)},${height - (value / top) * (height - 14)}`,
    );
    return `<polyline fill="none" stroke="${COLOURS[n]}" stroke-width="1.5" points="${at.join(' ')}"/>`;
  });
  const legend = shown.map(
    ({ title: name }, n) => `<span style="color:${COLOURS[n]}">${name}</span>`,
  );
  return `<section><h2>${title}</h2><svg width="${width}" height="${height + 6}">
    <text x="0" y="12" font-size="10">${top.toPrecision(2)}</text><text x="0" y="${height}" font-size="10">0</text>
    <text x="0" y="24" font-size="9" fill="#888">${fieldConfig.defaults.unit}</text>
    <path d="M40 ${height}H${width}" stroke="#ccc"/>${lines.join('')}</svg><div>${legend.join('')}</div></section>`;
}
