import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * A socket of Node's HTTP server with its current response. The field is internal to Node, but a set of
 * current responses of our own would cost up to a tenth of the CPU at full load.
 */
export type Connection = Socket & { _httpMessage?: ServerResponse | null };

/** Over TLS, the socket that carries the answers wraps the accepted socket. */
type SecureConnection = Connection & { _parent?: Connection | null };

/** Returns a live set of the open connections of a server, the oldest first. Call it before the server listens. */
export function connectionsOf(server: Server): Set<Connection> {
  const connections = new Set<Connection>();
  const track = (connection: Connection) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
  };
  server.on('connection', track);
  server.on('secureConnection', (secure: SecureConnection) => {
    if (secure._parent) connections.delete(secure._parent);
    track(secure);
  });
  return connections;
}
