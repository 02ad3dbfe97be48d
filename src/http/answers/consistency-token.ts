import type { IncomingMessage } from 'node:http';
import { isConsistencyToken } from '../../db/replicas/replicas.js';
import { Problem } from '../problems/problem.js';

export const CONSISTENCY_TOKEN = 'X-Consistency-Token';

/** Returns the consistency token of a request, for `Reads.read`; undefined if it has none. Throws `invalid_header`. */
export function consistencyTokenOf({ headers }: IncomingMessage): string | undefined {
  return checkedToken(headers['x-consistency-token'], CONSISTENCY_TOKEN);
}

/** Checks a token from another source; the error calls it `name`. Throws `invalid_header`. */
export function checkedToken(token: unknown, name: string): string | undefined {
  if (token === undefined) return undefined;
  if (typeof token === 'string' && isConsistencyToken(token)) return token;
  throw new Problem(
    'invalid_header',
    `${name} must be the unchanged value from the response to a write, given once.`,
  );
}
