import { once } from 'node:events';
import net from 'node:net';

/** A balancer of connections, like a gateway. */
export interface RoundRobin {
  url: string;
  add(url: string): void;
  remove(url: string): void;
  /** From this call on, one of this many answers is lost: its connection is reset after the service has answered. */
  loseOneOf(count: number): void;
  /** The number of lost answers. */
  lost(): number;
  close(): void;
}

const CHECK_EVERY_MS = 100;

/** Each connection goes to the next service that is ready and accepts it. */
export async function startRoundRobin(): Promise<RoundRobin> {
  const targets = new Map<string, { ready: boolean }>();
  let turn = 0;
  let loseOneOf = Infinity;
  let lost = 0;
  const isLost = () => Math.random() < 1 / loseOneOf && ++lost > 0;
  const inTurn = () => {
    const all = [...targets.keys()];
    const first = turn++ % Math.max(1, all.length);
    const ordered = [...all.slice(first), ...all.slice(0, first)];
    return ordered.sort((a, b) => Number(targets.get(b)!.ready) - Number(targets.get(a)!.ready));
  };
  const server = net.createServer((client) => {
    client.on('error', () => undefined);
    connectTo(client, inTurn(), isLost);
  });
  const check = setInterval(() => {
    for (const [url, target] of targets) void isReady(url).then((ready) => (target.ready = ready));
  }, CHECK_EVERY_MS);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    add: (url) => targets.set(url, { ready: true }),
    remove: (url) => targets.delete(url),
    loseOneOf: (count) => (loseOneOf = count),
    lost: () => lost,
    close: () => {
      clearInterval(check);
      server.close();
    },
  };
}

/** A service that refuses the connection has received nothing, so the next one is tried. */
function connectTo(client: net.Socket, [url, ...others]: string[], isLost: () => boolean): void {
  if (url === undefined) return void client.destroy();
  const { port, hostname } = new URL(url);
  const upstream = net.connect(Number(port), hostname);
  upstream.once('connect', () => {
    client.pipe(upstream);
    // The request was executed, and only its answer is lost.
    upstream.once('data', (chunk: Buffer) => {
      if (isLost()) return void client.resetAndDestroy();
      client.write(chunk);
      upstream.pipe(client);
    });
    upstream.once('end', () => client.end());
    client.once('close', () => upstream.destroy());
  });
  upstream.on('error', () => {
    if (upstream.connecting || upstream.bytesWritten + upstream.bytesRead === 0)
      connectTo(client, others, isLost);
    else client.destroy();
  });
}

async function isReady(url: string): Promise<boolean> {
  const response = await fetch(`${url}/health/ready`).catch(() => undefined);
  await response?.arrayBuffer().catch(() => undefined);
  return response?.ok ?? false;
}
