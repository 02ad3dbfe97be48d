import net from 'node:net';

/** A TCP proxy in front of a database server, which can break the network between the server and a client. */
export interface Proxy {
  /** A database URL that leads through the proxy. */
  url: string;
  /** The number of open client connections. */
  connections(): number;
  /** The number of times that a client has sent something and waited for the answer since the proxy started. */
  roundTrips(): number;
  /** Stops forwarding in both directions. Connections stay open, and new ones are accepted. */
  freeze(): void;
  thaw(): void;
  /** Stops forwarding on the open connections. New ones work. */
  stall(): void;
  /** Resets all connections and refuses new ones. */
  refuse(): void;
  /** Listens again on the same port, in front of another server if its URL is given. */
  accept(databaseUrl?: string): Promise<void>;
  /** Resets every connection on which a client sends this text. */
  resetOn(text: string | undefined): void;
  /**
   * Lets one more answer through on the next connection on which a client sends this text. Then it ends the connection,
   * or forwards nothing any more on it.
   */
  cutBehind(text: string, then: 'end' | 'stall'): void;
  close(): void;
}

/** The beginning of the message that ends each answer of a server, and its length. */
const READY_FOR_QUERY = Buffer.from([0x5a, 0, 0, 0, 5]);
const READY_BYTES = 6;

export async function startProxy(databaseUrl: string): Promise<Proxy> {
  const clients = new Set<net.Socket>();
  const stalled = new WeakSet<net.Socket>();
  let target = new URL(databaseUrl);
  let held: (() => void)[] | undefined;
  let fatalText: string | undefined;
  let cut: { text: string; then: 'end' | 'stall' } | undefined;
  const cutting = new WeakMap<net.Socket, 'end' | 'stall'>();
  let roundTrips = 0;

  const forward = (from: net.Socket, to: net.Socket, seen: (chunk: Buffer) => void) =>
    from.on('data', (chunk: Buffer) => {
      seen(chunk);
      if (stalled.has(from) || stalled.has(to)) return void from.pause();
      const write = () => void (to.writable && to.write(chunk));
      if (held) held.push(write);
      else write();
    });

  const server = net.createServer({ noDelay: true }, (client) => {
    const upstream = net.connect({ port: Number(target.port), host: target.hostname });
    let answered = true;
    clients.add(client);
    upstream.setNoDelay(true);
    upstream.on('data', (chunk: Buffer) => {
      const then = cutting.get(client);
      const ready = chunk.indexOf(READY_FOR_QUERY);
      if (!then || ready < 0) return;
      cutting.delete(client);
      client.write(chunk.subarray(0, ready + READY_BYTES));
      if (then === 'end') client.end();
      else stalled.add(client);
    });
    forward(upstream, client, () => (answered = true));
    forward(client, upstream, (chunk) => {
      if (fatalText && chunk.includes(fatalText)) client.resetAndDestroy();
      if (cut && chunk.includes(cut.text)) {
        cutting.set(client, cut.then);
        cut = undefined;
      }
      if (answered) roundTrips++;
      answered = false;
    });
    client
      .on('error', () => {})
      .on('close', () => {
        clients.delete(client);
        upstream.destroy();
      });
    upstream.on('error', () => {}).on('close', () => client.destroy());
  });
  const listen = (port: number) =>
    new Promise<void>((resolve, reject) =>
      server.once('error', reject).listen(port, '127.0.0.1', resolve),
    );

  await listen(0);
  const { port } = server.address() as net.AddressInfo;
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);
  const refuse = () => {
    server.close();
    for (const client of clients) client.resetAndDestroy();
  };
  return {
    url: url.href,
    connections: () => clients.size,
    roundTrips: () => roundTrips,
    freeze: () => (held ??= []),
    thaw: () => {
      held?.forEach((write) => write());
      held = undefined;
    },
    stall: () => clients.forEach((client) => stalled.add(client)),
    refuse,
    accept: (newUrl = databaseUrl) => {
      target = new URL(newUrl);
      return listen(port);
    },
    resetOn: (text) => (fatalText = text),
    cutBehind: (text, then) => (cut = { text, then }),
    close: refuse,
  };
}
