import type { Request } from 'express';
import { trustsProxy } from '../internals/express.js';

/** Returns the path and the query of a request, also if its target is an absolute URL (RFC 9112 3.2.2). */
export function targetOf({ originalUrl }: Request): string {
  if (originalUrl.startsWith('/')) return originalUrl;
  const target = originalUrl.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '');
  return target.startsWith('/') ? target : `/${target}`;
}

/** Returns the path of the request as the client sees it, with the prefix that a proxy removed. */
export function publicPathOf(req: Request): string {
  return `${forwardedPrefixOf(req)}${req.baseUrl}${req.path}`;
}

/** Matches one or more path segments, none of them `.` or `..`. */
const PREFIX = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~%-]+)+$/;

/**
 * Returns the path prefix that a proxy removed, from X-Forwarded-Prefix. The header counts only if it
 * comes from a proxy that the application trusts (Express's setting `trust proxy`).
 */
export function forwardedPrefixOf(req: Request): string {
  const header = req.headers['x-forwarded-prefix'];
  if (typeof header !== 'string') return '';
  if (!trustsProxy(req.app, req.socket.remoteAddress ?? '')) return '';
  const prefix = header.split(',', 1)[0]!.trim().replace(/\/+$/, '');
  return PREFIX.test(prefix) ? prefix : '';
}
