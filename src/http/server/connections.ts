import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { wrappedSocket } from '../internals/node.js';

/** Returns a live set of the open connections of a server, the oldest first. Call it before the server listens. */
export function connectionsOf(server: Server): Set<Socket> {
  const connections = new Set<Socket>();
  const track = (connection: Socket) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
  };
  server.on('connection', track);
  server.on('secureConnection', (secure: Socket) => {
    const accepted = wrappedSocket(secure);
    if (accepted) connections.delete(accepted);
    track(secure);
  });
  return connections;
}
