import { execFile } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { promisify } from 'node:util';
import { startService, type TestService } from '../support/service.js';

const ITEM = '/api/projects/0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10';
const BYTES = 12 * 1024 * 1024;
const BODY = Buffer.alloc(BYTES, ' ');
const run = promisify(execFile);

let service: TestService;
beforeAll(async () => (service = await startService()));
afterAll(() => service.close());

/**
 * Requests that are refused before their bodies have arrived: too large, of another type, with a wrong query, without
 * a route.
 */
const REFUSED: [method: string, path: string, type: string, status: number][] = [
  ['POST', '/api/projects', 'application/json', 413],
  ['PUT', ITEM, 'application/json', 413],
  ['PATCH', ITEM, 'application/merge-patch+json', 413],
  ['POST', '/api/projects', 'text/plain', 415],
  ['PUT', ITEM, 'text/plain', 415],
  ['PATCH', ITEM, 'text/plain', 415],
  ['POST', '/api/projects/import', 'text/plain', 415],
  ['POST', '/api/projects?wrong=1', 'application/json', 400],
  ['POST', '/api/projects/import?wrong=1', 'text/csv', 400],
  ['PUT', '/api/projects/export', 'application/json', 405],
  ['POST', '/api/nothing', 'application/json', 404],
];

interface Sent {
  headers?: http.OutgoingHttpHeaders;
  agent?: http.Agent | false;
}

/** Returns the status, or the error that the client reports. */
function send(method: string, path: string, { headers, agent = false }: Sent) {
  return new Promise<number | string>((resolve) => {
    const request = http.request(service.url + path, { method, headers, agent }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode!));
    });
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    request.end(BODY);
  });
}

async function tenTimes(ask: () => Promise<number | string>): Promise<(number | string)[]> {
  const answers: (number | string)[] = [];
  for (let i = 0; i < 10; i++) answers.push(await ask());
  return answers;
}

describe.each(REFUSED)(
  '%s %s of 12 MB of %s gets %i in ten of ten attempts',
  (method, path, type, status) => {
    const all = Array.from({ length: 10 }, () => status);
    const typed = { 'Content-Type': type };

    it('for fetch', async () => {
      const init = { method, body: BODY, headers: typed };
      const answers = await tenTimes(async () => {
        const response = await fetch(service.url + path, init).catch((error: Error) => error);
        if (response instanceof Error) return String(response.cause);
        expect(await response.json()).toMatchObject({ success: false, status });
        return response.status;
      });
      expect(answers).toEqual(all);
    });

    it('for node:http on a connection that closes, with and without chunks', async () => {
      const headers = { ...typed, 'Content-Length': BYTES };
      expect(await tenTimes(() => send(method, path, { headers }))).toEqual(all);
      const chunked = { ...typed, 'Transfer-Encoding': 'chunked' };
      expect(await tenTimes(() => send(method, path, { headers: chunked }))).toEqual(all);
    });

    it('for node:http on a connection that stays open', async () => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const headers = { ...typed, 'Content-Length': BYTES };
      expect(await tenTimes(() => send(method, path, { headers, agent }))).toEqual(all);
      agent.destroy();
    });
  },
);

const PYTHON = `
import http.client, sys
host, port = sys.argv[1].split('//')[1].split(':')
for close in (False, True):
    for method, path, kind in (('POST', '/api/projects', 'application/json'), ('PUT', sys.argv[2], 'text/plain')):
        for _ in range(5):
            connection = http.client.HTTPConnection(host, int(port))
            headers = {'Content-Type': kind, **({'Connection': 'close'} if close else {})}
            connection.request(method, path, body=b' ' * ${BYTES}, headers=headers)
            response = connection.getresponse()
            response.read()
            print(response.status)
`;

const hasPython = await run('python3', ['-c', '1']).then(
  () => true,
  () => false,
);

(hasPython ? it : it.skip)('is answered for the http.client of Python', async () => {
  const { stdout } = await run('python3', ['-c', PYTHON, service.url, ITEM]);
  const five = (status: number) => Array.from({ length: 5 }, () => String(status));
  const once = [...five(413), ...five(415)];
  expect(stdout.trim().split('\n')).toEqual([...once, ...once]);
});

describe('a client that continues to send', () => {
  const HEAD = `POST /api/projects HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 99999999999\r\n\r\n`;

  /** Sends until the connection ends or `stopAt` was answered. Returns the answer, the bytes sent and the time taken. */
  async function sendOn(chunk: Buffer, pauseMs: number, { headers = HEAD, stopAt = '' } = {}) {
    const { hostname, port } = new URL(service.url);
    const socket = net.connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    const startedAt = performance.now();
    let received = '';
    socket.on('data', (data: Buffer) => {
      received += data.toString();
      if (stopAt && received.includes(stopAt)) socket.destroy();
    });
    socket.on('error', () => {});
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
    socket.write(headers);
    const next = () => {
      if (!socket.writable) return;
      socket.write(chunk, () => (pauseMs ? setTimeout(next, pauseMs) : setImmediate(next)));
    };
    next();
    await closed;
    return { received, sent: socket.bytesWritten, ms: performance.now() - startedAt };
  }

  it('is disconnected after 64 MiB', async () => {
    const { received, sent } = await sendOn(Buffer.alloc(1024 * 1024), 0);
    expect(received).toContain('HTTP/1.1 415 ');
    expect(sent).toBeGreaterThan(60 * 1024 * 1024);
    expect(sent).toBeLessThan(90 * 1024 * 1024);
  });

  it('is disconnected after eight seconds, whether or not it asked to close', async () => {
    const closing = HEAD.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
    const ends = await Promise.all(
      [HEAD, closing].map((h) => sendOn(Buffer.from('x'), 100, { headers: h })),
    );
    for (const { received, ms } of ends) {
      expect(received).toContain('HTTP/1.1 415 ');
      expect(ms).toBeGreaterThan(7000);
      expect(ms).toBeLessThan(20_000);
    }
  });

  it('gets the refusal of a chunked body that becomes too large', async () => {
    const headers = `POST /api/projects HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const size = 256 * 1024;
    const chunk = Buffer.from(`${size.toString(16)}\r\n${' '.repeat(size)}\r\n`);
    const { received } = await sendOn(chunk, 200, { headers, stopAt: 'HTTP/1.1 413 ' });
    expect(received).toContain('HTTP/1.1 413 ');
  });
});
