import { type SQL, sql } from 'drizzle-orm';

/**
 * The version that a row begins with under an id that its client has named: 1, or the one after the
 * deletion of a row that had the id, as long as its history is kept. So no ETag of that one is an ETag
 * of this one (RFC 9110 8.8.1). The snapshot of the statement may be older than a write that the
 * statement waits for; then the trigger of the history raises a conflict
 * (functions/changes_may_follow.sql), and a retry succeeds.
 */
export function firstVersion(entity: string, id: SQL): SQL<number> {
  return sql`next_version(coalesce((
      select version from changes where entity_id = ${id} and entity = ${sql.raw(`'${entity}'`)}
      order by sequence desc limit 1
    ), 0))`;
}

/** For the RETURNING of an INSERT … ON CONFLICT: nobody has locked or updated a new row, so its xmax is 0. */
export const WAS_INSERTED = sql<boolean>`xmax = 0`;
