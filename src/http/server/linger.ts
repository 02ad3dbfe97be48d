import type { IncomingMessage } from 'node:http';

/** The longest time in which the rest of a refused body is read and dropped. */
const LONGEST_MS = 8000;
const MOST_BYTES = 64 * 1024 * 1024;

/**
 * Lets a client that is still sending its body read the answer to a request that was refused early
 * (RFC 9112 9.6). Closing the connection while data arrive would reset it, and most clients would report
 * the reset instead of the answer. So the rest of the body is read and dropped, up to 64 MiB or 8
 * seconds. Call it before the answer is sent.
 */
export function linger(req: IncomingMessage): void {
  const { socket } = req;
  if (req.complete || socket.destroyed) return;
  const start = socket.bytesRead;
  let isClosing = false;
  // Node calls destroySoon after the last answer of a connection. This one closes only our direction.
  socket.destroySoon = () => {
    isClosing = true;
    socket.end();
  };
  const cutOff = setTimeout(() => socket.destroy(), LONGEST_MS).unref();
  const onData = () => {
    if (socket.bytesRead - start > MOST_BYTES) socket.destroy();
  };
  const onEnd = () => {
    clearTimeout(cutOff);
    req.off('data', onData);
    Reflect.deleteProperty(socket, 'destroySoon');
    if (isClosing) socket.destroySoon();
  };
  req.once('end', onEnd).once('close', onEnd).on('data', onData).resume();
}
