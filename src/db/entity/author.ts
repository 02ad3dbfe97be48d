import { sql } from 'drizzle-orm';
import type { Db } from '../connection.js';

/** The author of a write for the history. Missing fields come from `setAuditContext`. */
export interface Author {
  actor?: string;
  requestId?: string;
}

/**
 * Sets the author of a single-statement write in its RETURNING clause, without another round trip. `authorValues`
 * fills the placeholders. The triggers that record the history run after it.
 */
export const WRITE_AUTHOR = {
  author: sql`set_write_author(${sql.placeholder('actor')}, ${sql.placeholder('requestId')})`,
};

/**
 * Does the same for a statement that inserts several rows with different authors. The placeholder `authors` is a JSON
 * object with the authors by the ids of the rows. It is a subquery, so that it runs once.
 */
export const WRITE_AUTHORS = sql`(select set_config('audit.write_authors', ${sql.placeholder('authors')}, true))`;

export function authorValues({ actor, requestId }: Author) {
  return { actor: actor ?? null, requestId: requestId ?? null };
}

/**
 * Sets the author of all following writes in the transaction `tx`, also of other tables and raw SQL. A write with
 * its own `by` is recorded with that one. Fields that are not given keep their values.
 */
export async function setAuditContext(tx: Db, { actor, requestId }: Author): Promise<void> {
  await tx.execute(
    sql`select set_audit_context(${actor ?? null}::text, ${requestId ?? null}::text)`,
  );
}

/** Sets the author of one write that consists of several statements. It is valid until the next factory write. */
export async function setWriteAuthor(tx: Db, by: Author): Promise<void> {
  const { actor, requestId } = authorValues(by);
  await tx.execute(sql`select set_write_author(${actor}::text, ${requestId}::text)`);
}
