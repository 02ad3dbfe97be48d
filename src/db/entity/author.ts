import { sql } from 'drizzle-orm';
import type { Db } from '../connection.js';

/** Who writes, and by which request, for the history. What is not given, the history takes from `setAuditContext`. */
export interface Author {
  actor?: string;
  requestId?: string;
}

/**
 * For the RETURNING clause of a write of one statement: names the author of that write in the same
 * round trip, from the placeholders that `authorValues` fills. The triggers that record the history
 * run after it.
 */
export const WRITE_AUTHOR = {
  author: sql`set_write_author(${sql.placeholder('actor')}, ${sql.placeholder('requestId')})`,
};

/**
 * The same for a statement that inserts several rows, each with an author of its own: the placeholder
 * `authors` is a JSON object of authors by the ids of the rows. A subquery, so that it runs once.
 */
export const WRITE_AUTHORS = sql`(select set_config('audit.write_authors', ${sql.placeholder('authors')}, true))`;

export function authorValues({ actor, requestId }: Author) {
  return { actor: actor ?? null, requestId: requestId ?? null };
}

/**
 * Names the author of all writes in the rest of the transaction `tx`, those of other tables and raw
 * SQL included. A write that is given a `by` of its own is recorded with that one. What is not given
 * here stays as it was.
 */
export async function setAuditContext(tx: Db, { actor, requestId }: Author): Promise<void> {
  await tx.execute(
    sql`select set_audit_context(${actor ?? null}::text, ${requestId ?? null}::text)`,
  );
}

/** The same for the writes of several statements that are one to their caller. Ends with the next factory write. */
export async function setWriteAuthor(tx: Db, by: Author): Promise<void> {
  const { actor, requestId } = authorValues(by);
  await tx.execute(sql`select set_write_author(${actor}::text, ${requestId}::text)`);
}
