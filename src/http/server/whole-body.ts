import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { Problem } from '../problems/problem.js';
import { Turn } from '../streams/turns.js';

const UNPACKERS = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
};

/**
 * Reads a whole body and decompresses it. Rejects with `payload_too_large`, `unsupported_media_type`, or
 * `bad_request` if it is incomplete or not compressed as declared; the rest of the body is then dropped.
 */
export async function wholeBody(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (Number(req.headers['content-length']) > maxBytes) throw tooLarge();
  const body = unpacked(req);
  try {
    return await collected(body, maxBytes);
  } finally {
    if (body !== req) {
      req.unpipe();
      body.destroy();
    }
    req.resume();
  }
}

function unpacked(req: IncomingMessage): Readable {
  const encoding = (req.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity') return req;
  if (!Object.hasOwn(UNPACKERS, encoding)) {
    const known = Object.keys(UNPACKERS).filter((name) => name !== 'x-gzip');
    throw new Problem(
      'unsupported_media_type',
      `The body must be uncompressed or compressed with ${known.join(', ')}.`,
      { headers: { 'Accept-Encoding': known.join(', ') } },
    );
  }
  const unpack = UNPACKERS[encoding as keyof typeof UNPACKERS]();
  req.on('close', () => req.complete || unpack.destroy(cutShort()));
  return req.pipe(unpack);
}

/**
 * Collects the body in one growing buffer; a list of chunks would cost a hundred bytes for each chunk.
 * It yields to the event loop between chunks, since a body may arrive in a million of them.
 */
function collected(body: Readable, maxBytes: number): Promise<Buffer> {
  const turn = new Turn();
  let bytes = Buffer.allocUnsafe(Math.min(4096, maxBytes));
  let length = 0;
  return new Promise((resolve, reject) => {
    body.on('data', (part: Buffer) => {
      if (length + part.length > maxBytes) return reject(tooLarge());
      if (length + part.length > bytes.length) {
        const larger = Buffer.allocUnsafe(Math.min(maxBytes, 2 * (length + part.length)));
        bytes.copy(larger, 0, 0, length);
        bytes = larger;
      }
      length += part.copy(bytes, length);
      if (!turn.isOver || body.isPaused()) return;
      body.pause();
      void turn.next().then(() => body.resume());
    });
    body.once('end', () => resolve(bytes.subarray(0, length)));
    body.once('error', (error) => reject(error instanceof Problem ? error : notPacked()));
    // Every body closes, and creating an error with its stack is expensive.
    body.once('close', () => body.readableEnded || reject(cutShort()));
  });
}

function tooLarge(): Problem {
  return new Problem('payload_too_large', 'The body is larger than the service accepts.');
}

function cutShort(): Problem {
  return new Problem('bad_request', 'The body ended before it was complete.');
}

function notPacked(): Problem {
  return new Problem('bad_request', 'The body is not compressed as Content-Encoding says.');
}
