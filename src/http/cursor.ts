import { createHash } from 'node:crypto';
import type { Position } from '../db/factories/project-list-query.js';
import { Problem } from './problem.js';

/**
 * A position in a list as an opaque text, bound to the filter and the sort that made it. It holds what
 * the client has seen, the key and the id of the last row, so it gives nothing away; the digest tells
 * a forged, a cut or a foreign one, and is no secret.
 */
export function encodeCursor({ key, id }: Position, list: string): string {
  const position = Buffer.from(JSON.stringify([key, id])).toString('base64url');
  return `${position}.${digestOf(position, list)}`;
}

/** Throws `invalid_cursor`. */
export function decodeCursor(cursor: string, list: string): Position {
  const [position = '', digest] = cursor.split('.');
  if (digest !== digestOf(position, list) || cursor !== `${position}.${digest}`) {
    throw new Problem('invalid_cursor', 'The cursor was not made by this filter and this sort.', {
      errors: [{ path: 'after', message: 'must be the nextCursor of a page of this very list' }],
    });
  }
  const [key, id] = JSON.parse(Buffer.from(position, 'base64url').toString()) as [string, string];
  return { key, id };
}

function digestOf(position: string, list: string): string {
  return createHash('sha256').update(`${position} ${list}`).digest('base64url').slice(0, 22);
}
