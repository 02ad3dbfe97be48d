import { type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { settledPosition } from './change-feed.js';

/**
 * Runs one step of removing the changes that were committed more than `days` days ago, the oldest first, and
 * resolves with the number of rows; 0 means that nothing is left. A step is one statement of at most `most` rows. The
 * removal may stop at any step and continue later.
 *
 * `change_expiry` is advanced first: from then on older cursors are refused, so that no reader skips the changes that
 * are being removed.
 */
export async function removeExpiredChanges(db: Db, days: number, most = 1000): Promise<number> {
  return (
    (await removeChanges(db, most)) || (await removeCommits(db)) || (await expire(db, days, most))
  );
}

/** Removes expired changes in order, so that a history never has a gap. */
async function removeChanges(db: Db, most: number): Promise<number> {
  return await rowsOf(
    db,
    // The rows are selected by ctid: the planner would execute a join by reading the whole table.
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

/** Removes the commits that have expired. */
async function removeCommits(db: Db): Promise<number> {
  return await rowsOf(
    db,
    sql`delete from change_commits where position <= (select position from change_expiry)`,
  );
}

/** Advances the expiry up to the first commit that must be kept, even if later ones are older. */
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
