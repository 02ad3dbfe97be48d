import { createHash } from 'node:crypto';
import { Problem } from '../problems/problem.js';

type Key = string | number;

/** More than the longest has, of a name of 255 characters that JSON writes as six each. */
export const MAX_CURSOR_LENGTH = 2500;

/**
 * A position in a list as an opaque text, bound to what the list is of: its filter and its sort. It
 * holds what the client has seen, the keys of the last row, so it gives nothing away; the digest tells
 * a forged, a cut or a foreign one, and is no secret.
 */
export function encodeCursor(keys: readonly Key[], list: string): string {
  const position = Buffer.from(JSON.stringify(keys)).toString('base64url');
  return `${position}.${digestOf(position, list)}`;
}

interface Expected<K extends Key[]> {
  /** What the cursors belong to. */
  list: string;
  /** Whether they are the keys of a row of the list: anybody can digest others. */
  are: (keys: Key[]) => keys is K;
  /** Where the cursor stood in the request. */
  from?: string;
}

/** The keys. Throws `invalid_cursor`. */
export function decodeCursor<K extends Key[]>(cursor: string, expected: Expected<K>): K {
  const { list, are, from = 'after' } = expected;
  const [position = '', digest] = cursor.split('.');
  const isOurs = digest === digestOf(position, list) && cursor === `${position}.${digest}`;
  const keys = isOurs && cursor.length <= MAX_CURSOR_LENGTH ? keysIn(position) : undefined;
  if (!keys || !are(keys)) throw invalidCursor(from);
  return keys;
}

/** For keys that are so many whole numbers, none of them negative. */
export function areNumbers<K extends number[]>(count: K['length']): (keys: Key[]) => keys is K {
  return (keys): keys is K =>
    keys.length === count && keys.every((key) => Number.isSafeInteger(key) && Number(key) >= 0);
}

/** None for what only somebody else can have digested. */
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
  return new Problem('invalid_cursor', 'The cursor was not made by this filter and this sort.', {
    errors: [{ path: from, message: 'must be the nextCursor of a page of this very list' }],
  });
}

function digestOf(position: string, list: string): string {
  return createHash('sha256').update(`${position} ${list}`).digest('base64url').slice(0, 22);
}
