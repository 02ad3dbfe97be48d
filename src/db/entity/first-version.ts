import { type SQL, sql } from 'drizzle-orm';

/**
 * The version that a row begins with under an id that its client has named: 1, or the one behind the
 * deletion of a row that was there before, as long as its history is kept. So no ETag of that one is
 * an ETag of this one (RFC 9110 8.8.1). It is read by the snapshot of the statement: of a row that is
 * deleted while the statement waits for it, this is the version of the deletion, which is no ETag.
 */
export function firstVersion(entity: string, id: SQL): SQL<number> {
  return sql`next_version(coalesce((
      select version from changes where entity_id = ${id} and entity = ${sql.raw(`'${entity}'`)}
      order by sequence desc limit 1
    ), 0))`;
}

/** For the RETURNING of an INSERT … ON CONFLICT: nobody has locked or updated a new row, so its xmax is 0. */
export const WAS_INSERTED = sql<boolean>`xmax = 0`;
