import type { IncomingMessage } from 'node:http';
import { Problem } from '../problems/problem.js';

/**
 * Accepts a body without a charset or with the charset `utf-8` or `utf8`, which many clients send.
 * Throws `unsupported_media_type` for any other charset (RFC 9110 8.3.2).
 */
export function requireUtf8({ headers }: IncomingMessage): void {
  const charset = /;\s*charset="?([^";\s]*)/i.exec(headers['content-type'] ?? '')?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    throw new Problem('unsupported_media_type', 'The body is read as UTF-8 only.');
  }
}
