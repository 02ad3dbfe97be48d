import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const START_TIMEOUT_MS = 30_000;

/** Starts a Node program on the first core. Resolves at its first 200 with the time that this took. */
export async function startServer({ node, program, env, target }) {
  const port = await freePort();
  const startedAt = performance.now();
  const child = spawn('taskset', ['-c', '0', node, program], {
    env: { PATH: process.env.PATH, ...env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  while ((await statusOf(port, target)) !== 200) {
    if (child.exitCode !== null) throw new Error(`${program} did not start.`);
    if (performance.now() - startedAt > START_TIMEOUT_MS)
      throw new Error(`${program} is not ready.`);
    await sleep(5);
  }
  return {
    port,
    startMs: Math.round(performance.now() - startedAt),
    memoryMb: () => Math.round(Number(execFileSync('ps', ['-o', 'rss=', '-p', child.pid])) / 1024),
    /** Returns the processor time that it has used, in milliseconds. Linux reports it in ticks of 10 ms. */
    cpuMs: () => {
      const stat = readFileSync(`/proc/${child.pid}/stat`, 'utf8');
      const [user, system] = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .slice(11, 13);
      return (Number(user) + Number(system)) * 10;
    },
    /** Returns the maximum memory so far, which Linux reports. */
    peakMemoryMb: () => {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)[1]) / 1024);
    },
    signal: (name) => child.kill(name),
    stop: async () => {
      if (child.exitCode !== null) return;
      child.kill();
      await once(child, 'exit');
    },
  };
}

async function statusOf(port, target) {
  const response = await fetch(`http://127.0.0.1:${port}${target}`).catch(() => undefined);
  await response?.arrayBuffer();
  return response?.status;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}
