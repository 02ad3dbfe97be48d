import net from 'node:net';

/**
 * Opens `connections` to a service. Each sends a request as soon as it has the answer to the one
 * before (or `pauseMs` later), whatever that says: such clients do not obey Retry-After. `stop()` closes them and resolves
 * with what was counted: answers by status, connections that ended too early, and for each status the
 * times of its answers in milliseconds.
 * @param {{ port: number, connections: number, requests: string[], pauseMs?: number,
 *   onAnswer?: (status: number, ms: number) => void }} load
 */
export function startFlood({ port, connections, requests, pauseMs = 0, onAnswer = () => {} }) {
  const counts = { byStatus: /** @type {Map<number, number[]>} */ (new Map()), broken: 0 };
  const sockets = new Set();
  let stopping = false;
  let next = 0;
  for (let n = 0; n < connections; n++) open();
  return { counts, stop };

  function open() {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    sockets.add(socket);
    let sentAt;
    let received = '';
    const send = () => {
      if (stopping) return;
      next = (next + 1) % requests.length;
      sentAt = performance.now();
      socket.write(requests[next]);
    };
    socket.setEncoding('latin1').on('connect', send);
    socket.on('error', () => {});
    socket.on('data', (part) => {
      received += part;
      const length = answerLength(received);
      if (length === undefined || received.length < length) return;
      count(Number(received.slice(9, 12)), performance.now() - sentAt);
      received = '';
      if (pauseMs > 0) setTimeout(send, pauseMs);
      else send();
    });
    socket.on('close', () => {
      sockets.delete(socket);
      if (stopping) return;
      counts.broken++;
      setTimeout(() => stopping || open(), 10);
    });
  }

  function count(status, ms) {
    const times = counts.byStatus.get(status);
    if (times) times.push(ms);
    else counts.byStatus.set(status, [ms]);
    onAnswer(status, ms);
  }

  function stop() {
    stopping = true;
    for (const socket of sockets) socket.destroy();
    return counts;
  }
}

/** Returns the length of an answer, which is known when its headers have arrived. */
function answerLength(text) {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [, length = 0] = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end + 2)) ?? [];
  return end + 4 + Number(length);
}

/**
 * A request as it goes over the wire.
 * @param {{ method: string, target: string, body?: unknown, key?: string }} request
 */
export function requestText({ method, target, body, key }) {
  const text = body && JSON.stringify(body);
  return [
    `${method} ${target} HTTP/1.1`,
    'Host: 127.0.0.1',
    ...(key ? [`Authorization: Bearer ${key}`] : []),
    ...(text
      ? ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`]
      : []),
    '',
    text ?? '',
  ].join('\r\n');
}
