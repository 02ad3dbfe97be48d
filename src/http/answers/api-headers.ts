import type { ServerResponse } from 'node:http';

/**
 * The headers of every response of the API. A cache must revalidate before it reuses a response, and a
 * shared cache must not store one, because what a caller may see depends on the caller.
 */
export const API_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'private, no-cache',
} as const;

/** Sets the headers of `API_HEADERS` that the application has not set itself. */
export function setApiHeaders(res: ServerResponse): void {
  if (!res.hasHeader('X-Content-Type-Options'))
    res.setHeader('X-Content-Type-Options', API_HEADERS['X-Content-Type-Options']);
  if (!res.hasHeader('Cache-Control')) res.setHeader('Cache-Control', API_HEADERS['Cache-Control']);
}
