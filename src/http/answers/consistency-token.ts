import type { IncomingMessage } from 'node:http';
import { isConsistencyToken } from '../../db/replicas/replicas.js';
import { Problem } from '../problems/problem.js';

export const CONSISTENCY_TOKEN = 'X-Consistency-Token';

/** The token of a request, for `Reads.read`; undefined where it has none. Throws `invalid_header`. */
export function consistencyTokenOf({ headers }: IncomingMessage): string | undefined {
  return checkedToken(headers['x-consistency-token'], CONSISTENCY_TOKEN);
}

/** The same for a token from elsewhere; `name` is what the sender calls it. */
export function checkedToken(token: unknown, name: string): string | undefined {
  if (token === undefined) return undefined;
  if (typeof token === 'string' && isConsistencyToken(token)) return token;
  throw new Problem(
    'invalid_header',
    `${name} must be the value that a write has answered, given once and unchanged.`,
  );
}
