import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { currentResponse } from '../internals/node.js';

/**
 * Keeps idle connections open for `idleMs`. This must be longer than the timeout of gateways, which
 * answer 502 for a request that meets a closed connection. A request that has arrived before the timeout
 * is served, even if the process was too busy to read it in time.
 */
export function keepConnections(server: Server, idleMs: number): void {
  server.keepAliveTimeout = idleMs;
  server.headersTimeout = Math.max(server.headersTimeout, idleMs + 1000);
  server.requestTimeout = Math.max(server.requestTimeout, server.headersTimeout);
  // If there is a listener, Node does not close the connection itself.
  server.on('timeout', (connection: Socket) => {
    const { bytesRead } = connection;
    // Timers run before the poll phase of the event loop, which reads the bytes that have arrived.
    setImmediate(() => {
      const isIdle = connection.bytesRead === bytesRead && !currentResponse(connection);
      if (isIdle) connection.destroy();
    });
  });
}
