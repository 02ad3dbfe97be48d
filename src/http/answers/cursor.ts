import { createHash } from 'node:crypto';
import { Problem } from '../problems/problem.js';

type Key = string | number;

/**
 * Longer than the longest cursor. An index, which each sort has, stores texts of up to 2,704 bytes. JSON needs two
 * bytes for a quote, and base64 a third more.
 */
export const MAX_CURSOR_LENGTH = 8000;

/**
 * Encodes a position in a list as an opaque text, bound to the filter and the sort of the list. It
 * contains the keys of the last row, which the client has seen already, so it reveals nothing. The
 * digest detects a cursor that is truncated or belongs to another list. It is not a secret.
 */
export function encodeCursor(keys: readonly Key[], list: string): string {
  const position = Buffer.from(JSON.stringify(keys)).toString('base64url');
  return `${position}.${digestOf(position, list)}`;
}

interface Expected<K extends Key[]> {
  /** The filter and the sort that the cursor must belong to. */
  list: string;
  /** Checks the types of the keys, since anybody can compute the digest of other keys. */
  are: (keys: Key[]) => keys is K;
  /** The parameter that held the cursor, for the error. */
  from?: string;
}

/** Returns the keys that a cursor contains. Throws `invalid_cursor`. */
export function decodeCursor<K extends Key[]>(cursor: string, expected: Expected<K>): K {
  const { list, are, from = 'after' } = expected;
  const [position = '', digest] = cursor.split('.');
  const isOurs = digest === digestOf(position, list) && cursor === `${position}.${digest}`;
  const keys = isOurs && cursor.length <= MAX_CURSOR_LENGTH ? keysIn(position) : undefined;
  if (!keys || !are(keys)) throw invalidCursor(from);
  return keys;
}

/** Returns a check for keys that are `count` non-negative integers. */
export function areNumbers<K extends number[]>(count: K['length']): (keys: Key[]) => keys is K {
  return (keys): keys is K =>
    keys.length === count && keys.every((key) => Number.isSafeInteger(key) && Number(key) >= 0);
}

/** Decodes the keys; undefined for a text that `encodeCursor` cannot have made. */
function keysIn(position: string): Key[] | undefined {
  try {
    const keys: unknown = JSON.parse(Buffer.from(position, 'base64url').toString());
    const isKey = (key: unknown) => typeof key === 'string' || typeof key === 'number';
    return Array.isArray(keys) && keys.every(isKey) ? keys : undefined;
  } catch {
    return undefined;
  }
}

function invalidCursor(from: string): Problem {
  return new Problem('invalid_cursor', 'The cursor does not belong to this filter and sort.', {
    errors: [{ path: from, message: 'must be the nextCursor of a page of the same list' }],
  });
}

function digestOf(position: string, list: string): string {
  return createHash('sha256').update(`${position} ${list}`).digest('base64url').slice(0, 22);
}
