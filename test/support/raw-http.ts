import net from 'node:net';

export interface RawAnswer {
  status: number;
  /** The names are in lower case. */
  headers: Record<string, string>;
  body: string;
}

const TIMEOUT_MS = 10_000;
/** A last part: the client sends no more. */
export const END = Buffer.alloc(0);

/**
 * Writes bytes unchanged on a new connection, each part after the previous one was sent, and resolves with the
 * answers when the server has closed it. Either request the close, or break HTTP. Strings are bytes (latin1).
 */
export async function exchange(url: string, ...parts: (string | Buffer)[]): Promise<RawAnswer[]> {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ host: hostname, port: Number(port), noDelay: true });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve, reject) => {
    socket.setTimeout(TIMEOUT_MS, () => {
      socket.destroy();
      const sent = String(parts[0]).slice(0, 500);
      const got = Buffer.concat(chunks).toString();
      reject(new Error(`no end within ${TIMEOUT_MS} ms of ${sent}: ${got}`));
    });
    // A server that refuses a request early may reset the rest of the request.
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    for (const part of parts) {
      if (part === END) socket.end();
      else socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
    }
  });
  return answersIn(Buffer.concat(chunks));
}

/**
 * Returns the only answer to a request, without a preceding 100. The given headers already end with the blank line.
 */
export async function exchangeOne(url: string, ...parts: (string | Buffer)[]): Promise<RawAnswer> {
  const answers = (await exchange(url, ...parts)).filter(({ status }) => status >= 200);
  if (answers.length !== 1) throw new Error(`${answers.length} answers: ${String(parts[0])}`);
  return answers[0]!;
}

/** Formats a request line and headers. The connection is closed after the answer. */
export function head(request: string, ...headers: string[]): string {
  return [request, 'Host: test', 'Connection: close', ...headers, '', ''].join('\r\n');
}

function answersIn(bytes: Buffer): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf('\r\n\r\n', at);
    const [statusLine, ...lines] = bytes.toString('latin1', at, end).split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
      }),
    );
    const rest = bytes.subarray(end + 4);
    const length = Math.min(Number(headers['content-length'] ?? 0), rest.length);
    answers.push({
      status: Number(statusLine!.split(' ')[1]),
      headers,
      body: rest.toString('utf8', 0, length),
    });
    at = end + 4 + length;
  }
  return answers;
}
