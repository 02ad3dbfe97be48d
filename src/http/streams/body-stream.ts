import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import type { Request } from 'express';
import { Problem } from '../problems/problem.js';
import { requireUtf8 } from '../server/charset.js';
import { Turn } from '../server/turns.js';

export interface BodyStreamOptions {
  /** Longest time in which nothing comes. */
  silenceMs: number;
  /** The time spent waiting for a sender that is slower than this may add up to `silenceMs`. */
  minBytesPerSecond: number;
  /** Longest time until all of it has come, from now on. */
  durationMs: number;
  /** Ends the reading with its reason. */
  signal?: AbortSignal;
  /** Is given every byte as it came, before it is unpacked. */
  onBytes?: (bytes: Uint8Array) => void;
}

const streamed = new WeakSet<IncomingMessage>();

/** Whether the body is one that may take long, which Node's own limit on a whole request does not know. */
export function isStreamed(req: IncomingMessage): boolean {
  return streamed.has(req);
}

/**
 * The body of a request as it arrives, unpacked if it is gzip. No more is read from the connection
 * than is asked for here. To be read to its end or to its first error, once.
 *
 * Throws `unsupported_media_type` for another encoding or charset before it reads anything; then
 * `request_timeout` when nothing comes, or not all of it has come, for too long, and `bad_request` for
 * a body that is cut short or is no gzip.
 */
export function bodyStream(req: Request, options: BodyStreamOptions): AsyncGenerator<Uint8Array> {
  if (req.readableDidRead) return alreadyRead(req, options);
  streamed.add(req);
  requireUtf8(req);
  const unpack = isPacked(req);
  const bytes = received(req, options);
  return unpack ? gunzipped(bytes) : bytes;
}

/** The body as a parser of the application has left it, which has unpacked and decoded it. */
// eslint-disable-next-line @typescript-eslint/require-await -- a generator like the other ways to read
async function* alreadyRead(
  req: Request,
  { onBytes }: BodyStreamOptions,
): AsyncGenerator<Uint8Array> {
  const body: unknown = req.body;
  if (typeof body !== 'string' && !Buffer.isBuffer(body)) {
    throw new Problem(
      'unsupported_media_type',
      'A parser of the application has read the body before the route, and left neither text nor bytes.',
    );
  }
  const bytes = Buffer.from(body as string);
  onBytes?.(bytes);
  yield bytes;
}

function isPacked(req: Request): boolean {
  const encoding = (req.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'gzip' || encoding === 'x-gzip') return true;
  if (encoding === 'identity') return false;
  throw new Problem('unsupported_media_type', 'The body is read as it is or packed with gzip.', {
    headers: { 'Accept-Encoding': 'gzip' },
  });
}

async function* received(req: Request, options: BodyStreamOptions): AsyncGenerator<Uint8Array> {
  const { onBytes } = options;
  for await (const bytes of read(req, options)) {
    onBytes?.(bytes);
    yield bytes;
  }
}

/** Not `for await (… of req)`: that destroys the connection, with the answer, when it is left early. */
async function* read(req: Request, options: BodyStreamOptions): AsyncGenerator<Buffer> {
  const { silenceMs, minBytesPerSecond, durationMs, signal } = options;
  const endsAt = performance.now() + durationMs;
  let spareMs = silenceMs;
  const chunks = (req as Readable).iterator({ destroyOnReturn: false }) as AsyncGenerator<Buffer>;
  const turn = new Turn();
  try {
    for (;;) {
      // While nothing is asked for, Node reads no more from the connection: a body that comes in ten
      // thousand tiny chunks would otherwise be parsed in one go.
      if (turn.isOver) await turn.next();
      const began = performance.now();
      const leftMs = Math.min(silenceMs, spareMs, endsAt - began);
      const next: IteratorResult<Buffer, unknown> = await within(leftMs, chunks.next(), signal);
      if (next.done) return;
      // Only the time spent waiting here counts, not that in which nothing was asked for.
      spareMs += (next.value.length / minBytesPerSecond) * 1000 - (performance.now() - began);
      yield next.value;
    }
  } finally {
    // Node passes over only a body that nobody has begun to read: with the rest of this one in its
    // way the connection would take no other request.
    void chunks.return(undefined).then(() => req.resume());
  }
}

async function within<T>(timeoutMs: number, next: Promise<T>, signal?: AbortSignal): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort: () => void = () => undefined;
  const givenUp = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow()), timeoutMs);
    onAbort = () => reject(signal!.reason as Error);
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([next.catch(cutShort), givenUp]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** One unpacked part after the other: of what would unpack to more than there is room for no more is unpacked. */
async function* gunzipped(packed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  const feeding = feed(gunzip, packed).catch((error: Error) => gunzip.destroy(error));
  try {
    for await (const bytes of gunzip) yield bytes as Uint8Array;
  } catch (error) {
    throw error instanceof Problem ? error : notGzip();
  } finally {
    gunzip.destroy();
    await feeding;
  }
}

async function feed(gunzip: Gunzip, packed: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const bytes of packed) {
    if (gunzip.destroyed) return;
    if (!gunzip.write(bytes)) await roomIn(gunzip);
  }
  gunzip.end();
}

function roomIn(gunzip: Gunzip): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      gunzip.off('drain', done).off('close', done);
      resolve();
    };
    gunzip.on('drain', done).on('close', done);
  });
}

function tooSlow(): Problem {
  return new Problem('request_timeout', 'The body did not come in time, or too slowly.', {
    headers: { Connection: 'close' },
  });
}

function cutShort(): never {
  throw new Problem('bad_request', 'The body ended before it was whole.');
}

function notGzip(): Problem {
  return new Problem('bad_request', 'The body is not gzip, or was cut short.');
}
