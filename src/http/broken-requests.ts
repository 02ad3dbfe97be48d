import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { Problem, PROBLEM_MEDIA_TYPE, problemBody, type ProblemCode } from './problem.js';

/** Answers as problems what never becomes a request: bytes that are not HTTP, headers that are too large or too late. */
export function answerBrokenRequests(server: Server): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
    const [code, detail] = BY_ERROR[error.code ?? ''] ?? NOT_HTTP;
    const { head, body } = answerTo(code, detail);
    socket.end(
      `HTTP/1.1 ${head.status} ${STATUS_CODES[head.status]}\r\n${linesOf(head.headers)}\r\n\r\n${body}`,
    );
  });
  server.on('checkExpectation', (_req: IncomingMessage, res: ServerResponse) => {
    const { head, body } = answerTo(
      'expectation_failed',
      'The one expectation that is met is 100-continue.',
    );
    res.writeHead(head.status, head.headers).end(body);
  });
}

const NOT_HTTP: readonly [ProblemCode, string] = ['bad_request', 'The request is not HTTP/1.1.'];

/** By the codes of Node's HTTP parser. */
const BY_ERROR: Record<string, readonly [ProblemCode, string]> = {
  HPE_HEADER_OVERFLOW: [
    'headers_too_large',
    'The request line and the headers are larger than the service takes.',
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request did not arrive in time.'],
};

function answerTo(code: ProblemCode, detail: string) {
  const requestId = randomUUID();
  const problem = new Problem(code, detail);
  const body = JSON.stringify(problemBody(problem, '/', requestId));
  const headers = {
    'X-Request-Id': requestId,
    'Content-Type': PROBLEM_MEDIA_TYPE,
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
  };
  return { head: { status: problem.status, headers }, body };
}

function linesOf(headers: Record<string, string>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\r\n');
}
