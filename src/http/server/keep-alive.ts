import type { Server } from 'node:http';
import type { Connection } from './connections.js';

/**
 * Keeps idle connections for so many milliseconds: longer than gateways do, which would answer 502
 * for a request that meets a closed one. A request that has arrived by then is served, even if the
 * process was too busy to read it in time.
 */
export function keepConnections(server: Server, idleMs: number): void {
  server.keepAliveTimeout = idleMs;
  server.headersTimeout = Math.max(server.headersTimeout, idleMs + 1000);
  server.requestTimeout = Math.max(server.requestTimeout, server.headersTimeout);
  // With a listener Node leaves it to that to close the connection.
  server.on('timeout', (connection: Connection) => {
    const { bytesRead } = connection;
    // Timers come before the poll phase of the event loop, which reads what has arrived.
    setImmediate(() => {
      const isIdle = connection.bytesRead === bytesRead && !connection._httpMessage;
      if (isIdle) connection.destroy();
    });
  });
}
