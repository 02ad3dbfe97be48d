import { DEFAULT_LIMIT } from './keyset-list.js';
import { type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { DataError, errorCodeOf } from '../errors.js';
import type { Change } from '../schema.js';
import { CHANGE_COLUMNS, type ChangeRow, isCut, pageOf, toChange } from './change-page.js';

/** A position in the order of all changes: after the change with this `position` and `sequence`. */
export interface FeedPosition {
  /** The position of the change's transaction in commit order. */
  position: number;
  sequence: number;
  /**
   * The time of the last commit up to this position, in milliseconds since 1970; 0 before the first. It detects
   * whether the database still has the history that the reader has seen: after a restore from a backup another commit
   * has the same position, but another time.
   */
  commitTime: number;
}

export interface FeedQuery {
  /** The position to continue from; default: before the oldest stored change. */
  after?: FeedPosition;
  /** The maximum number of changes in a page; a page of large changes has fewer. Default 50. */
  limit?: number;
}

export type FeedChange = FeedPosition & Change;

export interface FeedPage {
  changes: FeedChange[];
  /** The position to continue from: after the last change, or, without changes, the end of the feed, never before `after`. */
  next: FeedPosition;
  /** True if there are more committed changes. */
  hasMore: boolean;
}

type Place = Pick<FeedPosition, 'position' | 'sequence'>;

export function isBefore(a: Place, b: Place): boolean {
  return a.position < b.position || (a.position === b.position && a.sequence < b.sequence);
}

/** Returns the position after everything that has been committed. */
export async function readFeedEnd(db: Db): Promise<FeedPosition> {
  const settled = await settledPosition(db);
  const [row] = await db.execute<{ time: string }>(
    sql`select ${commitTimeAt(settled)} as time from change_expiry as expiry`,
  );
  return after(settled, row!.time);
}

/**
 * Reads the changes of one kind of entity in commit order, and inside a transaction in the order of its writes. A
 * reader that continues from `next`, page after page, gets every change once. Use it on the pool: in a transaction
 * with a fixed snapshot, later commits would be skipped.
 *
 * Throws `cursor_expired` if the next changes have been removed, or if the database was restored to a state before
 * `after`. Throws `database_unavailable` on a standby.
 */
export async function readFeedPage(db: Db, entity: string, query: FeedQuery): Promise<FeedPage> {
  const settled = await settledPosition(db);
  // This must be a separate statement, so that it sees everything up to the position of the previous one.
  const rows = await db.execute<Row>(pageQuery(entity, query, settled));
  const expired = {
    position: Number(rows[0]!.expired_position),
    sequence: Number(rows[0]!.expired_sequence),
    commitTime: Number(rows[0]!.expired_time),
  };
  if (query.after) requireSameHistory(query.after, expired, rows[0]!);
  const found = rows.filter((row) => row.position !== null);
  const page = found.map((row) => ({
    position: Number(row.position),
    commitTime: Number(row.commit_time),
    ...toChange(row),
  }));
  return {
    changes: page,
    next: page.at(-1) ?? later(query.after ?? expired, after(settled, rows[0]!.settled_time)),
    hasMore: isCut(found),
  };
}

/** Throws `cursor_expired` unless the database has the changes after the position and the same history before it. */
function requireSameHistory(place: FeedPosition, expired: Place, row: Row): void {
  // Compare with the last position, not with the commit watermark: that may go back if a transaction that has
  // looked up its position is slow to commit.
  const last = after(Number(row.last_position));
  const isSame = Number(row.after_time) === place.commitTime;
  if (isSame && !isBefore(place, expired) && !isBefore(last, place)) return;
  throw new DataError(
    'cursor_expired',
    'Changes after this cursor have been removed, or the database was restored to a state before it.',
  );
}

/**
 * Returns the commit watermark: every transaction up to this position has ended, so a later statement sees its
 * changes. It may be lower than before if a transaction that is committing has looked up its position earlier.
 * Throws `database_unavailable` on a standby.
 */
export async function settledPosition(db: Db): Promise<number> {
  try {
    const [row] = await db.execute<{ settled: string }>(sql`select changes_settled() as settled`);
    return Number(row!.settled);
  } catch (error) {
    if (errorCodeOf(error) !== '25006') throw error;
    throw new DataError(
      'database_unavailable',
      'The change feed can be read on the primary only; this database server is a standby.',
      { cause: error },
    );
  }
}

/** Returns the position before the first change of the next commit. */
function after(position: number, commitTime: number | string = 0): FeedPosition {
  return { position: position + 1, sequence: 0, commitTime: Number(commitTime) };
}

function later(a: FeedPosition, b: FeedPosition): FeedPosition {
  return isBefore(a, b) ? b : a;
}

/** A row of the page query. If there is no change, the columns of the change are null. */
interface Row extends ChangeRow {
  expired_position: string;
  expired_sequence: string;
  expired_time: string;
  /** The position of the last commit, even if earlier transactions have not ended. */
  last_position: string;
  /** The `commitTime` of `after` in the history of this database. */
  after_time: string;
  settled_time: string;
  position: string | null;
  commit_time: string | null;
}

/** Returns the `commitTime` for this position. `expiry` has the last commit that was removed. */
function commitTimeAt(position: number): SQL {
  return milliseconds(sql`coalesce(
    (select at from change_commits where position <= ${position} order by position desc limit 1),
    expiry.at)`);
}

function milliseconds(moment: SQL): SQL {
  return sql`coalesce((extract(epoch from ${moment}) * 1000)::bigint, 0)`;
}

/**
 * Selects the changes of a page, and at least one row with the expiry, from one snapshot. It scans the index of the
 * entity's commits from the cursor on, and the index of the changes of each commit. So the cost of a page does not
 * depend on the length of the feed or of a transaction, nor on changes of other entities.
 */
function pageQuery(
  entity: string,
  { after: place, limit = DEFAULT_LIMIT }: FeedQuery,
  settled: number,
) {
  const position = sql`coalesce(${place?.position ?? null}::bigint, expiry.position)`;
  const sequence = sql`coalesce(${place?.sequence ?? null}::bigint, expiry.sequence)`;
  // The comparison is by row, otherwise the planner could scan all positions and filter by entity.
  const found = sql`
    select commits.position, ${milliseconds(sql`commits.at`)} as commit_time, of_commit.*
    from change_commits as commits cross join lateral (
      select ${CHANGE_COLUMNS} from changes
      where change_set = commits.change_set
        and sequence > case when commits.position = ${position} then ${sequence} else 0 end
      order by sequence limit ${limit + 1}
    ) as of_commit
    where (commits.entity, commits.position) >= (${entity}, ${position})
      and (commits.entity, commits.position) <= (${entity}, ${settled})
    order by commits.entity, commits.position, of_commit.sequence limit ${limit + 1}`;
  // A position with sequence 0 is before its commit, which the reader has not seen.
  const seen = place && place.position - (place.sequence === 0 ? 1 : 0);
  return sql`
    select expiry.position as expired_position, expiry.sequence as expired_sequence,
      ${milliseconds(sql`expiry.at`)} as expired_time,
      (select case when is_called then last_value else 0 end from change_commits_position_seq) as last_position,
      ${commitTimeAt(seen ?? 0)} as after_time, ${commitTimeAt(settled)} as settled_time,
      page.*
    from change_expiry as expiry
    left join lateral (${pageOf(found, { order: sql`position, sequence`, limit })}) as page on true
    order by page.place`;
}
