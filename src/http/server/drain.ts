import type {
  IncomingMessage,
  RequestListener,
  Server as HttpServer,
  ServerResponse,
} from 'node:http';
import { Server as NetServer } from 'node:net';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Connection } from './connections.js';

const SWEEP_MS = 50;
/** Long enough for hundreds of clients on a busy machine; each is in after one turn of the event loop. */
const LONGEST_HOLD_MS = 5000;

/**
 * Returns a function that ends a server without failing a request. `connections` are its open ones.
 * Every answer then says `Connection: close`. New connections are served for `graceMs`, so that load
 * balancers learn that the service is not ready, and are refused after that. Connections without a
 * request under way are closed; the function resolves when none is left. A client may send a request
 * at the moment when its idle connection is closed, and has to send it again (RFC 9112, 9.5).
 */
export function drainable(
  server: HttpServer,
  connections: Set<Connection>,
): (options: { graceMs: number }) => Promise<void> {
  return async ({ graceMs }) => {
    server.prependListener('request', (_req, res) => res.setHeader('Connection', 'close'));
    for (const { _httpMessage: answer } of connections) {
      if (answer && !answer.headersSent) answer.setHeader('Connection', 'close');
    }
    await setTimeout(graceMs);
    let open = true;
    // net's close: http's own would cut connections whose next request has just been sent.
    await emptyQueue(server, () => NetServer.prototype.close.call(server, () => (open = false)));
    const closeIdle = sweeper(connections);
    while (open) {
      await setImmediate(); // behind the poll phase, which reads what has arrived
      closeIdle();
      await setTimeout(SWEEP_MS);
    }
  };
}

/**
 * Closes a listening socket once nobody waits in its queue, whom the system would reset. The event
 * loop takes one from the queue in each turn, and clients that come back for each request keep it
 * filled: so their requests are held until all are in.
 */
async function emptyQueue(server: HttpServer, close: () => void): Promise<void> {
  const held: [IncomingMessage, ServerResponse][] = [];
  const serve = server.listeners('request') as RequestListener[];
  server.removeAllListeners('request').on('request', (...request) => held.push(request));
  let accepted = 0;
  server.on('connection', () => accepted++);
  const deadline = performance.now() + LONGEST_HOLD_MS;
  for (let quietTurns = 0; quietTurns < 3 && performance.now() < deadline; quietTurns++) {
    const before = accepted;
    await setImmediate();
    if (accepted > before) quietTurns = -1;
  }
  close();
  server.removeAllListeners('request');
  for (const listener of serve) server.on('request', listener);
  for (const request of held) server.emit('request', ...request);
}

/**
 * Closes the connections that have no answer under way and received nothing since the last sweep.
 * Node's closeIdleConnections() overlooks those that never sent a whole request, such as a
 * browser's spare ones.
 */
function sweeper(connections: Set<Connection>): () => void {
  const received = new WeakMap<Connection, number>();
  return () => {
    for (const connection of connections) {
      const quiet = received.get(connection) === connection.bytesRead;
      received.set(connection, connection.bytesRead);
      if (quiet && !connection._httpMessage) connection.destroy();
    }
  };
}
