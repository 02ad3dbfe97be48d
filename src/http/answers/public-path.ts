import type { Request } from 'express';

/** The path and the query of the request, also of one whose target is a whole URL (RFC 9112 3.2.2). */
export function targetOf({ originalUrl }: Request): string {
  if (originalUrl.startsWith('/')) return originalUrl;
  const target = originalUrl.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '');
  return target.startsWith('/') ? target : `/${target}`;
}

/** The path of the request as its client knows it. */
export function publicPathOf(req: Request): string {
  return `${forwardedPrefixOf(req)}${req.baseUrl}${req.path}`;
}

/** One or more segments of a path, neither `.` nor `..`. */
const PREFIX = /^(?:\/(?!\.{1,2}(?:\/|$))[\w.~%-]+)+$/;

/**
 * What a proxy has removed from the front of the path, as its X-Forwarded-Prefix says. Only a proxy
 * that the application trusts is believed (the setting `trust proxy` of Express).
 */
export function forwardedPrefixOf(req: Request): string {
  const header = req.headers['x-forwarded-prefix'];
  if (typeof header !== 'string') return '';
  const isTrusted = req.app.get('trust proxy fn') as (address: string, hop: number) => boolean;
  if (!isTrusted(req.socket.remoteAddress ?? '', 0)) return '';
  const prefix = header.split(',', 1)[0]!.trim().replace(/\/+$/, '');
  return PREFIX.test(prefix) ? prefix : '';
}
