import type { IncomingMessage } from 'node:http';
import { isConsistencyToken } from '../../db/replicas/replicas.js';
import { Problem } from '../problems/problem.js';

export const CONSISTENCY_TOKEN = 'X-Consistency-Token';

/** The token of a request, for `Reads.read`; undefined where it has none. Throws `invalid_header`. */
export function consistencyTokenOf({ headers }: IncomingMessage): string | undefined {
  const token = headers['x-consistency-token'];
  if (token === undefined) return undefined;
  if (typeof token === 'string' && isConsistencyToken(token)) return token;
  throw new Problem(
    'invalid_header',
    'X-Consistency-Token must be the value that a write has answered, given once and unchanged.',
  );
}
