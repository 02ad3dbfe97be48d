import { type SQL, sql } from 'drizzle-orm';

/**
 * The version that a project begins with under an id that its client has named: 1, or behind the
 * deletion of one that was there before, as long as its history is kept. So that no ETag of that one
 * is an ETag of this one (RFC 9110 8.8.1). By the snapshot of the statement: of one that is deleted
 * while the statement waits for it, this is the version that the deletion counts as, which is no ETag.
 */
export function firstVersion(id: SQL): SQL<number> {
  return sql`next_version(coalesce((
      select version from changes where entity_id = ${id} and entity = 'project'
      order by sequence desc limit 1
    ), 0))`;
}

/** For the RETURNING of an INSERT … ON CONFLICT: what was inserted nobody has locked or updated, and its xmax is 0. */
export const WAS_INSERTED = sql<boolean>`xmax = 0`;
