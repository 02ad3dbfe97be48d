import { createHash } from 'node:crypto';
import { ApiHeader } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { Db } from '../../db/connection.js';
import {
  createIdempotencyFactory,
  KEY_LIFETIME_HOURS,
  type KeptAnswer,
  type RequestKey,
} from '../../db/factories/idempotency.factory.js';
import { inTransaction } from '../../db/transaction.js';
import { callerOf } from '../contract/author.js';
import { targetOf } from './public-path.js';
import { Problem, type ProblemCode } from '../problems/problem.js';

/** What the work of a route answers, written to the response when all of it has been committed. */
export interface Answer<Body> {
  /** Default: the route's own. */
  status?: number;
  headers?: Record<string, string>;
  body: Body;
}

export interface Exchange {
  req: Request;
  res: Response;
  /**
   * For a body that is read as it arrives: a digest of all of it. Asked for when the work is done,
   * or in its place when there is nothing left to do: then it reads the body to the end itself.
   */
  bodyDigest?: () => Promise<string>;
}

/** What a route may answer because it takes a key. */
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
    description: `Makes it safe to send the request again: a name for it that no other request of the caller has, such as a UUID, of 1 to 255 visible ASCII characters. The first answer is kept for ${KEY_LIFETIME_HOURS} hours and repeated word for word, with \`Idempotency-Replayed: true\`. A failure is not kept: the same key may be sent again.`,
  });

/**
 * Answers a POST by doing its work, once for each Idempotency-Key of a caller.
 *
 * Without the header `work` gets no transaction and does as it pleases. With it `work` gets the one
 * that the key is claimed in: all it writes goes through that, is committed together with the answer,
 * and is undone when it rejects, which leaves the key free. A request under a key that is answered
 * gets that answer, if it is the same request: method, path with query, and the same JSON whatever
 * its white space and the order of its fields. Of two at once the second waits for the first.
 *
 * After a conflict of transactions `work` runs again, so it must have no effect outside `tx`; with a
 * `bodyDigest` it does not, since that body can be read only once.
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
  const answer = await (bodyDigest ? db.transaction(attempt) : inTransaction(db, attempt));
  return give(res, answer);
}

/**
 * The same for a request that is no HTTP exchange, such as a message: its name and its body tell it
 * from another under the key. Resolves with the answer, `Idempotency-Replayed` among its headers.
 */
export async function onceFor<Body>(
  db: Db,
  { caller, key, name, body }: RequestKey & { name: string; body: unknown },
  work: (tx: Db) => Promise<Answer<Body>>,
): Promise<Answer<Body>> {
  const request = { status: 200, fingerprint: () => digest(`${name} ${digest(canonical(body))}`) };
  const ownKey = { caller, key: keyIn(key) };
  return await inTransaction(db, (tx) => claimed(tx, ownKey, request, work));
}

interface KeyedRequest {
  /** Of the answer, where the work does not say. */
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
      'The Idempotency-Key was sent before, with another request.',
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

/** Node joins a header that is given twice with a comma and a space, which no key holds. */
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

/** The same text for the same JSON value, in whatever order its fields came. */
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
