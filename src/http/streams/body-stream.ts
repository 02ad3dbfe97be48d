import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip, type Gunzip } from 'node:zlib';
import type { Request } from 'express';
import { Problem } from '../problems/problem.js';
import { requireUtf8 } from './charset.js';
import { Turn } from './turns.js';

export interface BodyStreamOptions {
  /** The longest time in which no byte arrives. */
  silenceMs: number;
  /** A sender slower than this fails when the time lost by it adds up to `silenceMs`. */
  minBytesPerSecond: number;
  /** The longest time until the whole body has arrived. */
  durationMs: number;
  /** Aborts the reading with its reason. */
  signal?: AbortSignal;
  /** Receives every byte before it is decompressed. */
  onBytes?: (bytes: Uint8Array) => void;
}

const streamed = new WeakSet<IncomingMessage>();

/** True if a route streams this body, so that Node's time limit for a whole request must not apply. */
export function isStreamed(req: IncomingMessage): boolean {
  return streamed.has(req);
}

/**
 * Streams the body of a request, and decompresses gzip. It has backpressure: it reads from the connection
 * only what the consumer asks for. Read it once, to its end or its first error.
 *
 * Throws `unsupported_media_type` for another encoding or charset before it reads anything. Reading
 * throws `request_timeout` if the body arrives too slowly or not in time, and `bad_request` if it is
 * incomplete or not gzip.
 */
export function bodyStream(req: Request, options: BodyStreamOptions): AsyncGenerator<Uint8Array> {
  if (req.readableDidRead) return alreadyRead(req, options);
  streamed.add(req);
  requireUtf8(req);
  const unpack = isPacked(req);
  const bytes = received(req, options);
  return unpack ? gunzipped(bytes) : bytes;
}

/** Returns the body that a parser of the application has already read and decompressed. */
// eslint-disable-next-line @typescript-eslint/require-await -- a generator like the other ways to read
async function* alreadyRead(
  req: Request,
  { onBytes }: BodyStreamOptions,
): AsyncGenerator<Uint8Array> {
  const body: unknown = req.body;
  if (typeof body !== 'string' && !Buffer.isBuffer(body)) {
    throw new Problem(
      'unsupported_media_type',
      'A body parser of the application has read the body before this route, and kept neither its text nor its bytes.',
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
  throw new Problem(
    'unsupported_media_type',
    'The body must be uncompressed or compressed with gzip.',
    {
      headers: { 'Accept-Encoding': 'gzip' },
    },
  );
}

async function* received(req: Request, options: BodyStreamOptions): AsyncGenerator<Uint8Array> {
  const { onBytes } = options;
  for await (const bytes of read(req, options)) {
    onBytes?.(bytes);
    yield bytes;
  }
}

/** Reads the chunks. A `for await (… of req)` that is left early would destroy the connection with the answer. */
async function* read(req: Request, options: BodyStreamOptions): AsyncGenerator<Buffer> {
  const { silenceMs, minBytesPerSecond, durationMs, signal } = options;
  const endsAt = performance.now() + durationMs;
  let spareMs = silenceMs;
  const chunks = (req as Readable).iterator({ destroyOnReturn: false }) as AsyncGenerator<Buffer>;
  const turn = new Turn();
  try {
    for (;;) {
      // While nothing is asked for, Node reads no more from the connection. Without this a body of ten
      // thousand tiny chunks would be parsed without a break.
      if (turn.isOver) await turn.next();
      const began = performance.now();
      const leftMs = Math.min(silenceMs, spareMs, endsAt - began);
      const next: IteratorResult<Buffer, unknown> = await within(leftMs, chunks.next(), signal);
      if (next.done) return;
      // Only the time of waiting for the sender counts, not the time in which the consumer was busy.
      spareMs += (next.value.length / minBytesPerSecond) * 1000 - (performance.now() - began);
      yield next.value;
    }
  } finally {
    // Node discards an unread body only if reading has not begun. The rest of this body would block
    // the next request of the connection.
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

/** Decompresses with backpressure: a small body that expands to a huge one is decompressed only as it is read. */
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
  return new Problem(
    'request_timeout',
    'The body did not arrive in time, or it arrived too slowly.',
    {
      headers: { Connection: 'close' },
    },
  );
}

function cutShort(): never {
  throw new Problem('bad_request', 'The body ended before it was complete.');
}

function notGzip(): Problem {
  return new Problem('bad_request', 'The body is not gzip, or is incomplete.');
}
