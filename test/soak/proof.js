// The soak test: writers that repeat each request until it is acknowledged, and a reader of the change feed that
// reconnects, while the service and PostgreSQL are killed.
import { randomInt, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { followFeed } from './feed-reader.js';
import { freePort, startKillable } from './killable.js';
import { startEmbeddedPostgres } from '../../dist/db/embedded/embedded-postgres.js';

/** The maximum wait for one answer. */
const ANSWER_MS = 8000;

/**
 * Runs `writers` against the service until every write is acknowledged. Meanwhile the service and PostgreSQL are each
 * killed with SIGKILL `kills` times at random moments. Resolves with the counts and `faults`, one sentence each;
 * empty if all guarantees held.
 */
export async function prove({ directory, writers, kills, log = () => {} }) {
  const port = await freePort();
  const settings = { port: String(await freePort()) };
  const database = path.join(directory, 'postgres');
  let server = await startEmbeddedPostgres({ directory: database, settings });
  const service = await startKillable({ url: server.url, port, directory });
  const base = `http://127.0.0.1:${port}/api/projects`;
  const feed = followFeed(`${base}/changes`);
  const writing = { stop: false, retries: 0, replays: 0 };
  const running = Array.from({ length: writers }, (_, n) => write(base, n, writing));
  try {
    for (let kill = 1; kill <= kills; kill++) {
      await sleep(randomInt(100, 1500));
      await service.kill();
      log(`${kill} of ${kills}: the service was killed`);
      await sleep(randomInt(100, 1500));
      await killPostgres(database);
      server = await startEmbeddedPostgres({ directory: database, settings });
      log(`${kill} of ${kills}: PostgreSQL was killed`);
    }
    await sleep(1000);
    writing.stop = true;
    const acknowledged = (await Promise.all(running)).flat();
    return await compare({ url: server.url, acknowledged, feed, writing });
  } finally {
    writing.stop = writing.giveUp = true;
    feed.stop();
    await Promise.allSettled(running);
    await service.stop();
    await server.stop();
  }
}

/**
 * One writer: it creates projects and updates them, and repeats each request with its own key until it is
 * acknowledged.
 */
async function write(base, writer, writing) {
  const acknowledged = [];
  while (!writing.stop) {
    const name = `writer ${writer} ${randomUUID()}`;
    const created = await once(base, { name, description: '', technologies: ['SQL'] }, writing);
    const project = { id: created.id, name, version: 1 };
    acknowledged.push(project);
    for (let left = randomInt(0, 4); left > 0; left--) {
      const description = `write ${project.version + 1}`;
      const operations = [
        { op: 'replace', id: project.id, project: { name, description, technologies: ['SQL'] } },
      ];
      await once(`${base}/batch`, { operations }, writing);
      project.version++;
    }
  }
  return acknowledged;
}

/** Repeats a POST until it is acknowledged. A write is executed once, however often it is sent. */
async function once(url, body, writing) {
  const request = {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': randomUUID() },
    body: JSON.stringify(body),
  };
  for (;;) {
    try {
      const response = await fetch(url, { ...request, signal: AbortSignal.timeout(ANSWER_MS) });
      const answer = await response.json();
      if (response.headers.has('idempotency-replayed')) writing.replays++;
      if (response.ok) return answer.data;
      if (response.status < 500 && response.status !== 409) throw new Refused(answer);
    } catch (error) {
      if (error instanceof Refused) throw error;
    }
    if (writing.giveUp) return {};
    writing.retries++;
    await sleep(randomInt(20, 200));
  }
}

class Refused extends Error {
  constructor(answer) {
    super(`A write was refused: ${JSON.stringify(answer)}`);
  }
}

/** Kills the server; its backends end when they notice it. */
export async function killPostgres(directory) {
  const file = path.join(directory, 'data', 'postmaster.pid');
  const postmaster = Number((await readFile(file, 'utf8')).split('\n')[0]);
  process.kill(postmaster, 'SIGKILL');
  while (isRunning(postmaster)) await sleep(10); // otherwise it would look like a running server
}

function isRunning(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Compares all acknowledged writes with the table, the history and the feed. */
export async function compare({ url, acknowledged, feed, writing }) {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    const rows = await sql`select id, name, version from projects`;
    const changes = await sql`
      select entity_id as id, version, action from change_commits join changes using (change_set)
      order by position, sequence`;
    await feed.until(changes.length);
    const faults = [
      ...faultsOfTable(acknowledged, rows),
      ...faultsOfHistory(rows, changes),
      ...faultsOfFeed(changes, feed.seen),
    ];
    const { retries, replays } = writing;
    const writes = acknowledged.reduce((sum, { version }) => sum + version, 0);
    const counts = { writes, projects: rows.length, changes: changes.length };
    return { ...counts, retries, replays, reconnects: feed.reconnects, faults };
  } finally {
    await sql.end();
  }
}

function faultsOfTable(acknowledged, rows) {
  const stored = new Map(rows.map((row) => [row.id, row]));
  const faults = acknowledged
    .filter(({ id, version }) => stored.get(id)?.version !== version)
    .map(
      ({ id, version }) => `${id} is at ${stored.get(id)?.version}, acknowledged was ${version}`,
    );
  const names = new Set(rows.map(({ name }) => name));
  if (names.size < rows.length) faults.push(`${rows.length - names.size} projects are there twice`);
  if (rows.length !== acknowledged.length) {
    faults.push(`${rows.length} projects for ${acknowledged.length} acknowledged`);
  }
  return faults;
}

/** The history has one row for each version, from the first on. */
function faultsOfHistory(rows, changes) {
  const versions = groupById(changes);
  return rows
    .map(({ id, version }) => {
      const found = (versions.get(id) ?? []).map((change) => change.version);
      const expected = Array.from({ length: version }, (_, n) => n + 1);
      return found.join() === expected.join() ? '' : `${id} has the history ${found.join()}`;
    })
    .filter(Boolean);
}

function groupById(changes) {
  const groups = new Map(changes.map(({ id }) => [id, []]));
  for (const change of changes) groups.get(change.id).push(change);
  return groups;
}

/** The feed has each change once, in commit order. */
function faultsOfFeed(changes, seen) {
  const textOf = ({ id, version, action }) => `${id} ${version} ${action}`;
  const [expected, found] = [changes.map(textOf), seen.map(textOf)];
  const at = expected.findIndex((change, n) => found[n] !== change);
  if (at >= 0) return [`the feed's change ${at} is ${found[at]} and not ${expected[at]}`];
  return found.length > expected.length
    ? [`the feed has ${found.length - expected.length} more`]
    : [];
}
