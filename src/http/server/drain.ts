import type {
  IncomingMessage,
  RequestListener,
  Server as HttpServer,
  ServerResponse,
} from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { currentResponse } from '../internals/node.js';

const SWEEP_MS = 50;
/** Long enough to accept hundreds of clients on a busy machine; each takes one turn of the event loop. */
const LONGEST_HOLD_MS = 5000;

/**
 * Returns a function that shuts a server down without failing a request. `connections` are its open
 * connections. After the call every answer has `Connection: close`. New connections are accepted for
 * `graceMs`, so that load balancers can notice that the service is not ready, and refused afterwards.
 * Idle connections are closed. The function resolves when no connection is left. A client that sends a
 * request at the moment when its idle connection is closed must retry (RFC 9112 9.5).
 */
export function drainable(
  server: HttpServer,
  connections: Set<Socket>,
): (options: { graceMs: number }) => Promise<void> {
  return async ({ graceMs }) => {
    server.prependListener('request', (_req, res) => res.setHeader('Connection', 'close'));
    for (const connection of connections) {
      const answer = currentResponse(connection);
      if (answer && !answer.headersSent) answer.setHeader('Connection', 'close');
    }
    await setTimeout(graceMs);
    let open = true;
    // This is close() of net.Server: that of http.Server would cut connections whose next request was just sent.
    await emptyQueue(server, () => NetServer.prototype.close.call(server, () => (open = false)));
    const closeIdle = sweeper(connections);
    while (open) {
      await setImmediate(); // runs after the poll phase, which reads the bytes that have arrived
      closeIdle();
      await setTimeout(SWEEP_MS);
    }
  };
}

/**
 * Closes a listening socket when its accept queue is empty, because the system would reset connections
 * that wait there. The event loop accepts one connection in each turn, and clients that connect again
 * for each request keep the queue filled. So requests are held until all waiting clients are accepted.
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
 * Closes the connections that have no current response and received nothing since the last sweep.
 * Node's closeIdleConnections() ignores connections that never sent a complete request, such as the
 * spare connections of a browser.
 */
function sweeper(connections: Set<Socket>): () => void {
  const received = new WeakMap<Socket, number>();
  return () => {
    for (const connection of connections) {
      const quiet = received.get(connection) === connection.bytesRead;
      received.set(connection, connection.bytesRead);
      if (quiet && !currentResponse(connection)) connection.destroy();
    }
  };
}
