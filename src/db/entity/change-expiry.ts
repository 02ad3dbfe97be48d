import { type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { settledPosition } from './change-feed.js';

/**
 * Goes a step further in removing the changes whose transactions were committed more than so many
 * days ago, the oldest first, and resolves with how many rows that was: 0 when nothing is left to do.
 * A step is one statement of at most `most` rows. May be ended at any point and gone on with later.
 *
 * Readers of the feed are told first: from then on a position before `change_expiry` is refused, so
 * that nobody skips what is being removed.
 */
export async function removeExpiredChanges(db: Db, days: number, most = 1000): Promise<number> {
  return (
    (await removeChanges(db, most)) || (await removeCommits(db)) || (await expire(db, days, most))
  );
}

/** Of what has expired; in order, so that a history never has a gap. */
async function removeChanges(db: Db, most: number): Promise<number> {
  return await rowsOf(
    db,
    // By their places in the table: a join would be planned for any limit, by reading all of it.
    sql`delete from changes where ctid = any(array(
        select of_commit.place
        from change_commits as commits cross join lateral (
          select ctid as place, sequence from changes
          where change_set = commits.change_set order by sequence limit ${most}
        ) as of_commit
        where commits.position <= (select position from change_expiry)
        order by commits.position, of_commit.sequence limit ${most}
      ))`,
  );
}

/** As many as have expired in one step. */
async function removeCommits(db: Db): Promise<number> {
  return await rowsOf(
    db,
    sql`delete from change_commits where position <= (select position from change_expiry)`,
  );
}

/** Up to the first that is to be kept, however old those behind it are. */
async function expire(db: Db, days: number, most: number): Promise<number> {
  const settled = await settledPosition(db);
  return await rowsOf(
    db,
    sql`with oldest as (
        select position, change_set, at, at < now() - ${days} * interval '1 day' as is_old
        from change_commits
        where position > (select position from change_expiry) and position <= ${settled}
        order by position limit ${most}
      ), last as (
        select position, change_set, at from oldest
        where position < coalesce((select min(position) from oldest where not is_old), ${settled} + 1)
        order by position desc limit 1
      )
      update change_expiry set position = last.position, at = last.at,
        -- Whose changes somebody may have removed by hand.
        sequence = coalesce((select max(sequence) from changes where change_set = last.change_set), 0)
      from last`,
  );
}

async function rowsOf(db: Db, statement: SQL): Promise<number> {
  return (await db.execute(statement)).count;
}
