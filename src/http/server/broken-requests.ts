import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { API_HEADERS } from '../answers/api-headers.js';
import { currentResponse, leaveHostUnchecked } from '../internals/node.js';
import { isStreamed } from '../streams/body-stream.js';
import { Problem, PROBLEM_MEDIA_TYPE, problemBody, type ProblemCode } from '../problems/problem.js';
import { linger } from './linger.js';
import { requestIdOf } from './request-id.js';

type Handle = (req: IncomingMessage, res: ServerResponse, next?: () => void) => void;

/**
 * Answers problems to requests that never reach Express: bytes that are not HTTP, headers that are too
 * large or too late, a wrong Host, a target without a path, codings of a body, CONNECT, and expectations.
 */
export function answerBrokenRequests(server: Server): void {
  server.on('clientError', answerBrokenBytes);
  server.on('connect', (_req, socket: Socket) => {
    end(socket, new Problem('bad_request', 'The service is not a proxy.'));
  });
  server.on('checkExpectation', (req: IncomingMessage, res: ServerResponse) => {
    refuse(
      req,
      res,
      'expectation_failed',
      'The service supports only the expectation 100-continue.',
    );
  });
  const handle = server.listeners('request')[0] as Handle;
  server.removeAllListeners('request').on('request', (req, res) => {
    if (req.rawHeaders.length >= 2 * MAX_HEADERS) return refuse(req, res, ...TOO_MANY_HEADERS);
    if (!hasHost(req))
      return refuse(req, res, 'bad_request', 'The request must have exactly one Host header.');
    if (isCoded(req)) return refuse(req, res, ...CODED_BODY);
    handle(req, res, () => refuse(req, res, 'bad_request', 'The request target has no path.'));
  });
  leaveHostUnchecked(server);
}

/** True if the request has exactly one Host header, or none in HTTP/1.0 (RFC 9112 3.2). */
function hasHost({ rawHeaders, httpVersion }: IncomingMessage): boolean {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.length === 4 && rawHeaders[i]!.toLowerCase() === 'host') hosts++;
  }
  return hosts === 1 || (hosts === 0 && httpVersion === '1.0');
}

/** True if the body has a further coding, such as gzip before chunked, which Node passes on without decoding it. */
function isCoded({ headers }: IncomingMessage): boolean {
  const coding = headers['transfer-encoding'];
  return coding !== undefined && !/^chunked$/i.test(coding);
}

function refuse(req: IncomingMessage, res: ServerResponse, code: ProblemCode, detail: string) {
  const { status, headers, body } = answerTo(
    new Problem(code, detail),
    pathOf(req),
    requestIdOf(req, res),
  );
  linger(req);
  res.writeHead(status, headers).end(body);
}

function pathOf({ url }: IncomingMessage): string {
  return url?.startsWith('/') ? url.split('?', 1)[0]! : '/';
}

/** Node silently drops headers beyond this number. An If-Match among them would be ignored. */
const MAX_HEADERS = 1000;
const TOO_MANY_HEADERS = ['headers_too_large', 'The request has 1,000 or more headers.'] as const;

const CODED_BODY = [
  'bad_request',
  'The service accepts no Transfer-Encoding but chunked.',
] as const;

const NOT_HTTP = ['bad_request', 'The request is not HTTP/1.1, or its method is unknown.'] as const;

const BROKEN_BODY = [
  'bad_request',
  'The body ended before it was complete, or its chunks are malformed.',
] as const;

const REQUEST_TIMEOUT = 'ERR_HTTP_REQUEST_TIMEOUT';

/** The answers by error code of Node's HTTP parser. */
const BY_ERROR: Record<string, readonly [ProblemCode, string]> = {
  HPE_HEADER_OVERFLOW: [
    'headers_too_large',
    'The request line and the headers are larger than the service accepts.',
  ],
  [REQUEST_TIMEOUT]: ['request_timeout', 'The request did not arrive in time.'],
};

function answerBrokenBytes(error: NodeJS.ErrnoException, socket: Socket): void {
  if (socket.writableEnded) return;
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const current = currentResponse(socket);
  if (error.code === REQUEST_TIMEOUT && current && isStreamed(current.req)) return;
  // If a complete request arrived before the broken bytes, it is answered first.
  if (current?.req.complete) {
    return void current.once('finish', () => socket.writable && answerBrokenBytes(error, socket));
  }
  if (current?.headersSent) return void socket.destroy();
  const known = BY_ERROR[error.code ?? ''];
  if (!current) return end(socket, new Problem(...(known ?? NOT_HTTP)));
  const requestId = requestIdOf(current.req, current); // the log has it too
  const place = { path: pathOf(current.req), requestId };
  end(socket, new Problem(...(known ?? BROKEN_BODY)), place);
}

const LINGER_MS = 1000;

interface Place {
  path: string;
  requestId: string;
}

function end(socket: Socket, problem: Problem, place?: Place): void {
  const { path, requestId } = place ?? { path: '/', requestId: randomUUID() };
  const { status, headers, body } = answerTo(problem, path, requestId);
  const lines = Object.entries({ Date: new Date().toUTCString(), ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n${body}`);
  // A client that is still sending would lose the answer if the connection were closed immediately.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

function answerTo(problem: Problem, instance: string, requestId: string) {
  const body = JSON.stringify(problemBody(problem, instance, requestId));
  const headers = {
    'X-Request-Id': requestId,
    'Content-Type': PROBLEM_MEDIA_TYPE,
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
    ...API_HEADERS,
  };
  return { status: problem.status, headers, body };
}
