import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/**
 * A socket of Node's HTTP server, with the answer under way on it. Read from there, where Node's
 * own code looks too: a set of the answers under way costs up to a tenth of the processor at full load.
 */
export type Connection = Socket & { _httpMessage?: ServerResponse | null };

/** Over TLS the socket that a server accepted is wrapped by the one that carries the answers. */
type SecureConnection = Connection & { _parent?: Connection | null };

/** The open connections of a server, from its start on, the oldest first. */
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
