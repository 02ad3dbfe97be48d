import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { until } from './connections.js';
import { freePort } from './free-port.js';

/** A nats-server with JetStream, which keeps its files until it is stopped. */
export interface Nats {
  /** `nats://127.0.0.1:port`, the same after each start. */
  url: string;
  start(): Promise<void>;
  kill(signal?: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a nats-server; `more` are further arguments. */
export async function startNats(program: string, more: string[] = []): Promise<Nats> {
  const folder = await mkdtemp(path.join(tmpdir(), 'projects-service-nats-'));
  const port = await freePort();
  let server: ChildProcess | undefined;
  const nats: Nats = {
    url: `nats://127.0.0.1:${port}`,
    start: async () => {
      const args = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder, ...more];
      const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      const said = text(child.stderr);
      server = child;
      await until(async () => {
        if (child.exitCode !== null) throw new Error(`nats-server ended: ${await said}`);
        return await isListening(port);
      }, 30_000);
    },
    kill: async (signal = 'SIGKILL') => {
      const child = server;
      if (!child || (child.exitCode ?? child.signalCode) !== null) return;
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
    },
    stop: async () => {
      await nats.kill();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
  await nats.start();
  return nats;
}

/** True if the server sends its greeting. It accepts connections a moment before it serves them. */
async function isListening(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'data');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
