import { createHash } from 'node:crypto';
import { Problem } from './problem.js';

type Key = string | number;

/**
 * A position in a list as an opaque text, bound to what the list is of: its filter and its sort. It
 * holds what the client has seen, the keys of the last row, so it gives nothing away; the digest tells
 * a forged, a cut or a foreign one, and is no secret.
 */
export function encodeCursor(keys: readonly Key[], list: string): string {
  const position = Buffer.from(JSON.stringify(keys)).toString('base64url');
  return `${position}.${digestOf(position, list)}`;
}

/** The keys; `from` is where the cursor stood in the request. Throws `invalid_cursor`. */
export function decodeCursor(cursor: string, list: string, from = 'after'): Key[] {
  const [position = '', digest] = cursor.split('.');
  const isOurs = digest === digestOf(position, list) && cursor === `${position}.${digest}`;
  const keys = isOurs ? keysIn(position) : undefined;
  if (!keys) throw invalidCursor(from);
  return keys;
}

/** The same for keys that are whole numbers. */
export function decodeNumbers(cursor: string, list: string, from = 'after'): number[] {
  const keys = decodeCursor(cursor, list, from);
  if (!keys.every(Number.isSafeInteger)) throw invalidCursor(from);
  return keys as number[];
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
