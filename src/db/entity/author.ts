import { sql } from 'drizzle-orm';
import type { Db } from '../connection.js';

/** Who writes, and by which request, for the history; a session that says nothing leaves both empty. */
export interface Author {
  actor?: string;
  requestId?: string;
}

/**
 * For the RETURNING of a single statement that writes: notes its author in the same round trip, from
 * the placeholders that `authorValues` fills. The triggers that write the history run when the rows
 * have been returned.
 */
export const NOTING = {
  noted: sql`note_author(${sql.placeholder('actor')}, ${sql.placeholder('requestId')})`,
};

export function authorValues({ actor = '', requestId = '' }: Author) {
  return { actor, requestId };
}

/** Notes the author of what follows in the transaction `tx`. */
export async function noteAuthor(tx: Db, { actor = '', requestId = '' }: Author): Promise<void> {
  await tx.execute(sql`select note_author(${actor}, ${requestId})`);
}
