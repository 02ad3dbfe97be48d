import type { IncomingMessage } from 'node:http';

/** Matches the scheme and a b64token (RFC 6750 2.1). */
const BEARER = /^bearer +([\w.~+/-]+=*)$/i;

/**
 * Returns the bearer token of a request, or the fault. Several Authorization headers are a fault: Node
 * keeps the first one, but a gateway may have checked another one.
 */
export function bearerToken(
  req: IncomingMessage,
): string | { fault: 'none' | 'malformed' | 'several' } {
  const { authorization } = req.headers;
  if (authorization === undefined) return { fault: 'none' };
  if (countAuthorization(req.rawHeaders) > 1) return { fault: 'several' };
  const token = BEARER.exec(authorization)?.[1];
  if (token !== undefined) return token;
  return { fault: /^bearer(\s|$)/i.test(authorization) ? 'malformed' : 'none' };
}

function countAuthorization(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === 13 && name.toLowerCase() === 'authorization') count++;
  }
  return count;
}
