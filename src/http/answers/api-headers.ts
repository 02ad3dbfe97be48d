import type { ServerResponse } from 'node:http';

/**
 * On every answer of the API. A cache has to ask before it repeats an answer, and none that is shared
 * keeps one: what a caller may see depends on who it is.
 */
export const API_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'private, no-cache',
} as const;

/** Sets those headers that the application has not set itself. */
export function setApiHeaders(res: ServerResponse): void {
  if (!res.hasHeader('X-Content-Type-Options'))
    res.setHeader('X-Content-Type-Options', API_HEADERS['X-Content-Type-Options']);
  if (!res.hasHeader('Cache-Control')) res.setHeader('Cache-Control', API_HEADERS['Cache-Control']);
}
