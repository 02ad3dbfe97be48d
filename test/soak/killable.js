import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const MAIN = path.resolve(import.meta.dirname, '../../dist/main.js');

/** The built service in a process on a port, which can be killed and started again. */
export async function startKillable({ url, port, directory, variables: more }) {
  let child;
  await start();
  return { kill, stop, freeze: () => child.kill('SIGSTOP'), thaw: () => child.kill('SIGCONT') };

  async function start() {
    const { PATH, HOME } = process.env;
    const variables = { DATABASE_URL: url, PORT: String(port), LOG_LEVEL: 'fatal', ...more };
    child = spawn(process.execPath, [MAIN], {
      cwd: directory,
      env: { PATH, HOME, ...variables },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    while (!(await isAlive(port))) {
      if (child.exitCode !== null) throw new Error(`The service ended with ${child.exitCode}.`);
      await sleep(20);
    }
  }

  /** Kills it at any moment and starts another one. */
  async function kill() {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    await start();
  }

  async function stop() {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
}

async function isAlive(port) {
  const response = await fetch(`http://127.0.0.1:${port}/health/live`).catch(() => undefined);
  await response?.arrayBuffer().catch(() => undefined);
  return response?.ok ?? false;
}

/** Returns a port on which nothing listens at the moment. */
export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}
