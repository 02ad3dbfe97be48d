import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A connection is not read while this many of its requests wait. */
const MAX_WAITING = 16;

/**
 * Handles pipelined requests of one connection one after the other, each in its own turn of the event
 * loop. Node reads a thousand pipelined requests at once and would handle all of them before anything
 * else. Call it after all listeners for requests are registered.
 */
export function handlePipelinedInTurn(server: Server): void {
  const handlers = server.listeners('request') as RequestListener[];
  const handle: RequestListener = (req, res) => {
    for (const handler of handlers) handler.call(server, req, res);
  };
  const waiting = new WeakMap<Socket, number>();
  const wait = (req: IncomingMessage, res: ServerResponse) => {
    const { socket } = req;
    const count = (waiting.get(socket) ?? 0) + 1;
    waiting.set(socket, count);
    if (count >= MAX_WAITING) socket.pause();
    // Node assigns the socket to a response when the previous response has ended.
    res.once('socket', () => {
      const left = waiting.get(socket)! - 1;
      waiting.set(socket, left);
      if (left === 0) socket.resume();
      setImmediate(handle, req, res);
    });
  };
  server.removeAllListeners('request').on('request', (req, res) => {
    if (res.socket) handle(req, res);
    else wait(req, res);
  });
}
