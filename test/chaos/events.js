// Chaos for events: three instances publish the change feed, while the publishing instance, PostgreSQL and
// nats-server are killed repeatedly, and publishing instances are frozen for longer than their lease. At the end
// every change must be in the stream once, in the order of the feed.
import { spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../../dist/db/embedded/embedded-postgres.js';
import { freePort, startKillable } from '../soak/killable.js';
import { killPostgres } from '../soak/proof.js';

const INSTANCES = 3;
const WRITERS = 4;
const OPERATIONS = 5;
const STREAM = 'PROJECTS_CHANGES';

/** The time limit for everything that is waited for. */
const PATIENCE_MS = 120_000;
const ANSWER_MS = 8000;

/**
 * Writes `changes` changes. Meanwhile each of the three is killed `kills` times with SIGKILL, and the publishing
 * instance is frozen as often until another one has its lease. The changes are distributed over the kills, so that
 * each kill happens during writes. Resolves with the counts and `faults`, one sentence each; empty if all guarantees
 * held.
 */
export async function proveEvents({ directory, natsServer, changes, kills, log = () => {} }) {
  const settings = { port: String(await freePort()) };
  const database = path.join(directory, 'postgres');
  let server = await startEmbeddedPostgres({ directory: database, settings });
  const nats = await startBroker(natsServer, path.join(directory, 'nats'));
  const mesh = { MESH_TRANSPORT: 'nats', MESH_URL: nats.url };
  const instances = [];
  for (let i = 0; i < INSTANCES; i++) {
    const port = await freePort();
    const service = await startKillable({ url: server.url, port, directory, variables: mesh });
    instances.push({ url: `http://127.0.0.1:${port}`, service });
  }
  const writing = { total: changes, allowed: 0, sent: 0, acknowledged: 0, stop: false };
  const release = (share) => (writing.allowed += Math.ceil((changes * share) / kills));
  const faults = [];
  let idleFreezes = 0;
  const writers = Array.from({ length: WRITERS }, () => write(instances, writing));
  try {
    for (let kill = 1; kill <= kills; kill++) {
      release(0.3);
      await sleep(randomInt(0, 300));
      await (await holderOf(instances)).service.kill();
      await sleep(randomInt(100, 1500));
      release(0.2);
      await sleep(randomInt(0, 300));
      await nats.kill();
      await sleep(randomInt(100, 1500));
      await nats.start();
      release(0.2);
      await sleep(randomInt(0, 300));
      await killPostgres(database);
      server = await startEmbeddedPostgres({ directory: database, settings });
      const isIdle = kill % 2 === 0;
      if (isIdle) await until(async () => await isAllPublished(nats.url, writing));
      idleFreezes += Number(isIdle);
      faults.push(...(await freezeHolder(instances, { isIdle, release: () => release(0.3) })));
      log(`${kill} of ${kills}: holder, nats-server and PostgreSQL killed, and a holder frozen`);
    }
    writing.allowed = changes;
    await Promise.all(writers);
    const found = await compare(server.url, nats.url);
    return { ...found, freezes: kills, idleFreezes, faults: [...faults, ...found.faults] };
  } finally {
    writing.stop = true;
    await Promise.allSettled(writers);
    for (const { service } of instances) await service.stop();
    await nats.stop();
    await server.stop();
  }
}

/** Returns the instance that publishes at the moment, or any instance if none does. */
async function holderOf(instances) {
  return (await holdersIn(instances))[0] ?? instances[randomInt(instances.length)];
}

async function holdersIn(instances) {
  const holds = await Promise.all(
    instances.map(async ({ url }) => (await metric(url, 'relay_holder')) === 1),
  );
  return instances.filter((_, i) => holds[i]);
}

async function metric(url, name) {
  const text = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(ANSWER_MS) }).then(
    (answer) => answer.text(),
    () => '',
  );
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? NaN);
}

/**
 * Freezes the publishing instance until another one has its lease, and then resumes it. An instance without
 * unpublished changes must not publish anything afterwards, although changes wait when it resumes.
 */
async function freezeHolder(instances, { isIdle, release }) {
  let holder;
  await until(async () => {
    const holders = await holdersIn(instances);
    holder = holders[0];
    return holders.length === 1; // an instance that has just lost its lease may not know it yet
  });
  const others = instances.filter((instance) => instance !== holder);
  const before = await metric(holder.url, 'relay_published_total');
  holder.service.freeze();
  release();
  try {
    await until(async () => (await holdersIn(others)).length > 0);
  } finally {
    holder.service.thaw();
  }
  await until(async () => (await metric(holder.url, 'relay_holder')) === 0);
  const after = await metric(holder.url, 'relay_published_total');
  return isIdle && after > before ? [`A frozen holder published ${after - before} events.`] : [];
}

/** True if the writers have written all changes so far, and all of them are in the stream. */
async function isAllPublished(natsUrl, { sent, allowed, total, acknowledged }) {
  if (sent < Math.min(allowed, total) || acknowledged < sent) return false;
  const connection = await connect({ servers: natsUrl });
  try {
    return (await lengthOf(await jetstreamManager(connection))) === acknowledged;
  } finally {
    await connection.close();
  }
}

async function lengthOf({ streams }) {
  return (await streams.info(STREAM).catch(() => null))?.state.messages ?? 0;
}

async function until(condition) {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`Not so in time: ${condition}`);
    await sleep(50);
  }
}

/** Sends batches to any instance, each repeated with its own key until it is acknowledged. */
async function write(instances, writing) {
  while (writing.sent < writing.total && !writing.stop) {
    if (writing.sent >= writing.allowed) {
      await sleep(20);
      continue;
    }
    writing.sent += OPERATIONS;
    const create = () => ({
      op: 'create',
      project: { name: randomUUID(), description: '', technologies: [] },
    });
    const operations = Array.from({ length: OPERATIONS }, create);
    const request = {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': randomUUID() },
      body: JSON.stringify({ operations }),
    };
    while (!writing.stop && !(await isDone(instances, request))) await sleep(randomInt(20, 200));
    writing.acknowledged += OPERATIONS;
  }
}

async function isDone(instances, request) {
  const { url } = instances[randomInt(instances.length)];
  const signal = AbortSignal.timeout(ANSWER_MS);
  try {
    const answer = await fetch(`${url}/api/projects/batch`, { ...request, signal });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

async function compare(databaseUrl, natsUrl) {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  const connection = await connect({ servers: natsUrl, waitOnFirstConnect: true });
  try {
    const rows =
      await sql`select position, sequence from change_commits join changes using (change_set)
      order by position, sequence`;
    const expected = rows.map(({ position, sequence }) => `${position} ${sequence}`);
    const manager = await jetstreamManager(connection);
    const deadline = performance.now() + PATIENCE_MS;
    while ((await lengthOf(manager)) < expected.length && performance.now() < deadline)
      await sleep(100);
    const found = await placesOf(manager.streams);
    return { changes: expected.length, events: found.length, faults: faultsOf(expected, found) };
  } finally {
    await connection.close();
    await sql.end();
  }
}

/** Returns the position in the feed of each event in the stream, from its id, which is a cursor. */
async function placesOf(streams) {
  const { state } = await streams.info(STREAM);
  const places = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const { header } = await streams.getMessage(STREAM, { seq });
    const [text] = header.get('Nats-Msg-Id').split('.');
    const [position, sequence] = JSON.parse(Buffer.from(text, 'base64url').toString());
    places.push(`${position} ${sequence}`);
  }
  return places;
}

function faultsOf(expected, found) {
  const faults = [];
  const at = expected.findIndex((place, i) => found[i] !== place);
  if (at >= 0) faults.push(`event ${at} is ${found[at]} and not ${expected[at]}`);
  if (found.length > expected.length)
    faults.push(`${found.length - expected.length} events too many`);
  return faults;
}

async function startBroker(program, folder) {
  const port = await freePort();
  let child;
  const broker = {
    url: `nats://127.0.0.1:${port}`,
    start: async () => {
      const args = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder];
      child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.on('data', (chunk) => (said += chunk));
      while (!said.includes('Server is ready')) {
        if (child.exitCode !== null) throw new Error(`nats-server ended: ${said}`);
        await sleep(10);
      }
    },
    kill: async () => {
      if ((child.exitCode ?? child.signalCode) !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
    stop: () => broker.kill(),
  };
  await broker.start();
  return broker;
}
