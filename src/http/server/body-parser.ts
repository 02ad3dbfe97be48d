import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { json, type RequestHandler } from 'express';
import { Problem } from '../problems/problem.js';

export const JSON_MEDIA_TYPES = ['application/json', 'application/merge-patch+json'];

/**
 * Reads JSON bodies up to `limit` (such as `1mb`), and refuses bytes that are not UTF-8 instead of
 * replacing them. It reads any JSON value: the route decides which of them it takes.
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
    const type = req.headers['content-type'];
    if (type) req.headers['content-type'] = withUtf8(type);
    // The parser would answer only when all of it has come.
    const tooLarge =
      Number(req.headers['content-length']) > maxBytes && Boolean(req.is(JSON_MEDIA_TYPES));
    if (tooLarge)
      throw new Problem('payload_too_large', 'The body is larger than the service takes.');
    parse(req, res, next);
  };
}

const UTF8_ALIAS = /(;\s*charset\s*=\s*"?)utf8(?=["\s;,]|$)/gi;

/** A header with UTF-8 by its registered name: many clients call it `utf8`. */
export function withUtf8(header: string): string {
  return header.replace(UTF8_ALIAS, '$1utf-8');
}

const UNITS = { b: 1, kb: 1024, mb: 1024 ** 2 };

function bytesOf(limit: string): number {
  const match = /^([1-9]\d*)(b|kb|mb)?$/.exec(limit.toLowerCase());
  if (!match) throw new Error(`The limit of a body must be a size such as 500kb or 1mb: ${limit}`);
  const [, count, unit = 'b'] = match;
  return Number(count) * UNITS[unit as keyof typeof UNITS];
}

function requireUtf8(_req: IncomingMessage, _res: unknown, body: Buffer, encoding: string): void {
  if (encoding !== 'utf-8')
    throw new Problem('unsupported_media_type', 'JSON is read as UTF-8 only (RFC 8259).');
  if (!isUtf8(body)) throw new Problem('invalid_encoding', 'The body is not valid UTF-8.');
}
