// npm run example:mesh: runs nats-server, the service, a gateway and a consumer until Ctrl-C. The service uses
// DATABASE_URL, or an embedded PostgreSQL in a temporary folder.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onSignal } from '../../dist/process/signals.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(path.join(tmpdir(), 'projects-service-mesh-'));
chmodSync(folder, 0o755); // for root, PostgreSQL runs as another user
const children = [];

onSignal(stop, { endWithParent: true });
try {
  await startAll();
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
  await stop();
}

async function startAll() {
  const natsPort = await freePort();
  const NATS_URL = `nats://127.0.0.1:${natsPort}`;
  const store = path.join(folder, 'nats');
  const nats = ['-a', '127.0.0.1', '-p', String(natsPort), '-js', '-sd', store];
  await start(process.env.NATS_SERVER ?? 'nats-server', nats, {}, /Server is ready/);
  const service = { MESH_TRANSPORT: 'nats', MESH_URL: NATS_URL, PORT: '0', LOG_FORMAT: 'json' };
  const EMBEDDED_POSTGRES_DIR = path.join(folder, 'postgres');
  const started = /listens on (\S+),/;
  await start('node', ['dist/main.js'], { ...service, EMBEDDED_POSTGRES_DIR }, started);
  const tsx = (file) => ['--import', 'tsx', path.join('examples/mesh', file)];
  await start('node', tsx('consumer.ts'), { NATS_URL }, /waits for events/);
  await start('node', tsx('gateway.ts'), { NATS_URL }, /listens on/);
  console.log(`mesh: is up. Add a project, and see that the consumer receives the change:
  curl ${gatewayUrl()} -H 'Content-Type: application/json' -d '{"name": "NATS", "description": "", "technologies": ["Go"]}'
  curl '${gatewayUrl()}?uses=Go'`);
}

/** Starts a program and resolves when it has printed that it is ready. */
async function start(program, args, variables, isReady) {
  const child = spawn(program, args, { cwd: ROOT, env: { ...process.env, ...variables } });
  children.push(child);
  child.output = '';
  const ready = new Promise((resolve) => {
    const onOutput = (chunk) => {
      child.output += chunk;
      if (program === 'node' && args[0] !== 'dist/main.js') process.stdout.write(chunk);
      if (isReady.test(child.output)) resolve();
    };
    child.stdout.on('data', onOutput);
    child.stderr.on('data', onOutput);
  });
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`${program} ${args.at(-1)} ended with ${code}:\n${child.output}`);
  });
  failed.catch(() => undefined);
  await Promise.race([ready, failed]).catch((error) => {
    if (error.code !== 'ENOENT') throw error;
    throw new Error(`There is no ${program} here. On Debian: apt-get install ${program}`);
  });
}

function gatewayUrl() {
  return /listens on (\S+)/.exec(children.at(-1).output)[1];
}

async function stop() {
  for (let child = children.pop(); child; child = children.pop()) {
    if (child.pid === undefined || (child.exitCode ?? child.signalCode) !== null) continue;
    const ended = once(child, 'exit').catch(() => undefined);
    child.kill('SIGTERM');
    await ended;
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
