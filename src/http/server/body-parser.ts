import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { json, type RequestHandler } from 'express';
import { Problem } from '../problems/problem.js';

export const JSON_MEDIA_TYPES = ['application/json', 'application/merge-patch+json'];

/**
 * Reads JSON bodies up to `limit` (such as `1mb`) and refuses bytes that are not UTF-8 instead of
 * replacing them. Any JSON value is read: which a route takes is for the route to say.
 */
export function jsonBody(limit: string): RequestHandler {
  const maxBytes = bytesOf(limit);
  const parse = json({
    limit: maxBytes,
    type: JSON_MEDIA_TYPES,
    strict: false,
    verify: requireUtf8,
  });
  return (req, res, next) => {
    // The parser would answer only when all of it has come.
    const tooLarge =
      Number(req.headers['content-length']) > maxBytes && Boolean(req.is(JSON_MEDIA_TYPES));
    if (tooLarge)
      throw new Problem('payload_too_large', 'The body is larger than the service takes.');
    parse(req, res, next);
  };
}

const UNITS = { b: 1, kb: 1024, mb: 1024 ** 2 };

function bytesOf(limit: string): number {
  const [, count, unit = 'b'] = /^(\d+)(b|kb|mb)?$/.exec(limit.toLowerCase())!;
  return Number(count) * UNITS[unit as keyof typeof UNITS];
}

function requireUtf8(_req: IncomingMessage, _res: unknown, body: Buffer, encoding: string): void {
  if (encoding !== 'utf-8')
    throw new Problem('unsupported_media_type', 'JSON is read as UTF-8 only (RFC 8259).');
  if (!isUtf8(body)) throw new Problem('invalid_encoding', 'The body is not valid UTF-8.');
}
