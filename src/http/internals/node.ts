import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/*
 * Everything that this service uses inside Node.js 20 and 24 and that its documentation does not promise. No
 * other file uses it (test/repository/dependencies.spec.ts). A field that is missing is taken for empty.
 */

/**
 * 1. A socket of Node's HTTP server with its current response. A set of our own would cost up to a tenth of the
 * processor time at full load.
 */
export type Connection = Socket & { _httpMessage?: ServerResponse | null };

/** Returns the response that the connection is sending or waits for. */
export function currentResponse(connection: Socket): ServerResponse | undefined {
  return (connection as Connection)._httpMessage ?? undefined;
}

/** 2. With TLS, the socket that carries the answers wraps the accepted one. */
export function wrappedSocket(secure: Socket): Connection | undefined {
  return (secure as { _parent?: Connection | null })._parent ?? undefined;
}

/**
 * 3. The state of a socket in the operating system: its descriptor, and the bytes that were written but not yet taken
 * by the system.
 */
interface Handle {
  fd?: number;
  bytesWritten?: number;
  writeQueueSize?: number;
}

function handleOf(connection: Socket): Handle {
  return (connection as { _handle?: Handle | null })._handle ?? {};
}

/** Returns the descriptor of a socket; undefined after it is closed, and on Windows. */
export function descriptorOf(connection: Socket): number | undefined {
  return handleOf(connection).fd;
}

/** Returns the number of bytes that the system has taken for the client, also from a single large write. */
export function bytesTaken(connection: Socket): number {
  const { bytesWritten = 0, writeQueueSize = 0 } = handleOf(connection);
  return bytesWritten - writeQueueSize;
}

/**
 * 4. An option that is documented only for `createServer`: Node's own check of Host, which answers without a body.
 */
export function leaveHostUnchecked(server: Server): void {
  Object.assign(server, { requireHostHeader: false });
}
