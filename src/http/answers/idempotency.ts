import { createHash } from 'node:crypto';
import { ApiHeader } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { type Db, notingPositions } from '../../db/connection.js';
import { carryPosition } from '../../db/query/noted-positions.js';
import {
  createIdempotencyFactory,
  KEY_LIFETIME_HOURS,
  type KeptAnswer,
  type RequestKey,
} from '../../db/factories/idempotency.factory.js';
import { inTransaction } from '../../db/transaction.js';
import { callerOf } from './caller.js';
import { targetOf } from './public-path.js';
import { Problem, type ProblemCode } from '../problems/problem.js';

/** The answer of a route. It is sent after the transaction has been committed. */
export interface Answer<Body> {
  /** The status; default: that of the route. */
  status?: number;
  headers?: Record<string, string>;
  body: Body;
}

export interface Exchange {
  req: Request;
  res: Response;
  /**
   * Returns a digest of a body that the route streams. It is called after the work, or instead of the
   * work when the answer is replayed: then it must read the body to its end itself.
   */
  bodyDigest?: () => Promise<string>;
}

/** The problems that a route may answer because it accepts an Idempotency-Key. */
export const KEY_PROBLEMS = [
  'invalid_header',
  'idempotency_key_reused',
] as const satisfies ProblemCode[];

/** Documents the header that `withIdempotencyKey` reads. */
export const ApiIdempotencyKey = () =>
  ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    schema: { type: 'string', pattern: '^[!-~]{1,255}$' },
    description: `Makes it safe to retry the request. The key is 1 to 255 visible ASCII characters and unique among the requests of the caller, such as a UUID. The first successful answer is stored for ${KEY_LIFETIME_HOURS} hours; a retry with the same key gets the same answer, with \`Idempotency-Replayed: true\`. A failure is not stored, so the request can be retried with the same key.`,
  });

/**
 * Answers a POST by running `work`, once for each Idempotency-Key of a caller.
 *
 * Without the header, `work` gets no transaction. With the header, `work` gets the transaction in which
 * the key is claimed and must write through it: its writes are committed together with the stored
 * answer, and rolled back when it rejects, which frees the key. A later request with the same key gets
 * the stored answer if it is the same request: the same method, path with query, and JSON value (white
 * space and the order of fields do not count). The second of two concurrent requests waits for the first.
 *
 * After a serialization conflict `work` runs again, so it must have no effect outside `tx`. With a
 * `bodyDigest` it does not run again, because that body can be read only once.
 *
 * Throws `invalid_header`, `idempotency_key_reused`, and `statement_timeout` after too long a wait.
 */
export async function withIdempotencyKey<Body>(
  db: Db,
  exchange: Exchange,
  work: (tx?: Db) => Promise<Answer<Body>>,
): Promise<Body> {
  const { req, res, bodyDigest } = exchange;
  const header = req.headers['idempotency-key'];
  if (header === undefined) return give(res, await work());
  const key = { caller: callerOf(req), key: keyIn(header) };
  const request = { status: res.statusCode, fingerprint: () => fingerprintOf(exchange) };
  const attempt = (tx: Db) => claimed(tx, key, request, work);
  const writing = notingPositions(db);
  const answer = await (bodyDigest
    ? writing.transaction(attempt)
    : inTransaction(writing, attempt));
  carryPosition(answer, answer.body);
  return give(res, answer);
}

/**
 * Does the same as `withIdempotencyKey` for a request that is not an HTTP exchange, such as a message.
 * Two requests with one key are the same if their name and body are. Resolves with the answer; a
 * replayed one has `Idempotency-Replayed` among its headers.
 */
export async function onceFor<Body>(
  db: Db,
  { caller, key, name, body }: RequestKey & { name: string; body: unknown },
  work: (tx: Db) => Promise<Answer<Body>>,
): Promise<Answer<Body>> {
  const request = { status: 200, fingerprint: () => digest(`${name} ${digest(canonical(body))}`) };
  const ownKey = { caller, key: keyIn(key) };
  const answer = await inTransaction(notingPositions(db), (tx) =>
    claimed(tx, ownKey, request, work),
  );
  carryPosition(answer, answer.body);
  return answer;
}

interface KeyedRequest {
  /** The status of the answer if the work does not set one. */
  status: number;
  fingerprint: () => string | Promise<string>;
}

async function claimed<Body>(
  tx: Db,
  key: RequestKey,
  request: KeyedRequest,
  work: (tx: Db) => Promise<Answer<Body>>,
): Promise<Answer<Body>> {
  const keys = createIdempotencyFactory(tx);
  const kept = await keys.claim(key);
  if (kept) return replayed(kept, await request.fingerprint());
  const answer = await work(tx);
  const { status = request.status, headers = {}, body } = answer;
  await keys.keep(key, { fingerprint: await request.fingerprint(), status, headers, body });
  return answer;
}

function replayed<Body>(kept: KeptAnswer, fingerprint: string): Answer<Body> {
  if (kept.fingerprint !== fingerprint) {
    throw new Problem(
      'idempotency_key_reused',
      'The Idempotency-Key was used before with a different request.',
    );
  }
  const { status, headers, body } = kept;
  return { status, headers: { ...headers, 'Idempotency-Replayed': 'true' }, body: body as Body };
}

function give<Body>(res: Response, { status, headers, body }: Answer<Body>): Body {
  if (status !== undefined) res.status(status);
  for (const name in headers) {
    if (name === 'Location') res.location(headers[name]!);
    else res.setHeader(name, headers[name]!);
  }
  return body;
}

/** Refuses a header that is given twice: Node joins the two with a comma and a space, and a key has no space. */
function keyIn(header: string | string[]): string {
  if (typeof header === 'string' && /^[!-~]{1,255}$/.test(header)) return header;
  throw new Problem(
    'invalid_header',
    'Idempotency-Key must be 1 to 255 visible ASCII characters, given once.',
  );
}

async function fingerprintOf({ req, bodyDigest }: Exchange): Promise<string> {
  const body = bodyDigest ? await bodyDigest() : digest(canonical(req.body));
  return digest(`${req.method} ${targetOf(req)} ${body}`);
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** Returns the same text for equal JSON values, independent of the order of their fields. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) {
    return value.some(isObject) ? `[${value.map(canonical).join()}]` : JSON.stringify(value);
  }
  if (!isObject(value)) return JSON.stringify(value) ?? '';
  const fields = Object.entries(value)
    .filter(([, part]) => part !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, part]) => `${JSON.stringify(name)}:${canonical(part)}`).join()}}`;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
