import { type SQL, sql } from 'drizzle-orm';
import { quoteLiteral } from './quoting.js';

/**
 * Returns the initial version of a row whose id the client has chosen: 1, or the version after the deletion of an
 * earlier row with this id, if its history is still stored. So the two rows never share an ETag (RFC 9110 8.8.1). If
 * the statement's snapshot is older than a write that it waits for, the trigger of the history raises a conflict
 * (functions/changes_may_follow.sql), and a retry succeeds.
 */
export function firstVersion(entity: string, id: SQL): SQL<number> {
  return sql`next_version(coalesce((
      select version from changes where entity_id = ${id} and entity = ${sql.raw(quoteLiteral(entity))}
      order by sequence desc limit 1
    ), 0))`;
}

/** For RETURNING of INSERT … ON CONFLICT: true for an inserted row, whose xmax is 0 because nothing has locked or updated it. */
export const WAS_INSERTED = sql<boolean>`xmax = 0`;
