import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { json } from 'express';
import { Problem } from './problem.js';

export const JSON_MEDIA_TYPES = ['application/json', 'application/merge-patch+json'];

/** Reads JSON bodies up to `limit` (such as `1mb`) and refuses bytes that are not UTF-8 instead of replacing them. */
export function jsonBody(limit: string) {
  return json({ limit, type: JSON_MEDIA_TYPES, verify: requireUtf8 });
}

function requireUtf8(_req: IncomingMessage, _res: unknown, body: Buffer, encoding: string): void {
  if (encoding !== 'utf-8')
    throw new Problem('unsupported_media_type', 'JSON is read as UTF-8 only (RFC 8259).');
  if (!isUtf8(body)) throw new Problem('invalid_encoding', 'The body is not valid UTF-8.');
}
