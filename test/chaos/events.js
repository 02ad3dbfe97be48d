// Chaos for events: three instances publish the change feed while the one that relays, PostgreSQL and nats-server
// are killed again and again. In the end every change must be in the stream once, in the order of the feed.
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

/**
 * Writes `changes` changes while each of the three is killed `kills` times with SIGKILL. Resolves with
 * the counts and `faults`, each a sentence; none when all held.
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
  const writing = { left: changes, stop: false };
  const writers = Array.from({ length: WRITERS }, () => write(instances, writing));
  try {
    for (let kill = 1; kill <= kills; kill++) {
      await sleep(randomInt(100, 1500));
      await (await holderOf(instances)).service.kill();
      await sleep(randomInt(100, 1500));
      await nats.kill();
      await sleep(randomInt(100, 1500));
      await nats.start();
      await killPostgres(database);
      server = await startEmbeddedPostgres({ directory: database, settings });
      log(`${kill} of ${kills}: holder, nats-server and PostgreSQL were killed`);
    }
    await Promise.all(writers);
    return { kills, ...(await compare(server.url, nats.url)) };
  } finally {
    writing.stop = true;
    await Promise.allSettled(writers);
    for (const { service } of instances) await service.stop();
    await nats.stop();
    await server.stop();
  }
}

/** The instance that relays at this moment, or any while none does. */
async function holderOf(instances) {
  for (const instance of instances) {
    const text = await fetch(`${instance.url}/metrics`).then(
      (answer) => answer.text(),
      () => '',
    );
    if (/^relay_holder 1$/m.test(text)) return instance;
  }
  return instances[randomInt(instances.length)];
}

/** Sends batches, each under a key of its own until it is acknowledged, to any instance. */
async function write(instances, writing) {
  while (writing.left > 0 && !writing.stop) {
    writing.left -= OPERATIONS;
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
  }
}

async function isDone(instances, request) {
  const { url } = instances[randomInt(instances.length)];
  const signal = AbortSignal.timeout(8000);
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
    const { streams } = await jetstreamManager(connection);
    const deadline = performance.now() + 120_000;
    const count = async () => (await streams.info(STREAM).catch(() => null))?.state.messages ?? 0;
    while ((await count()) < expected.length && performance.now() < deadline) await sleep(100);
    const found = await placesOf(streams);
    return { changes: expected.length, events: found.length, faults: faultsOf(expected, found) };
  } finally {
    await connection.close();
    await sql.end();
  }
}

/** The place in the feed of each event of the stream, read from its id, which is a cursor. */
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
