import { sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { DataError } from '../errors.js';
import type { Change } from '../schema.js';
import { CHANGE_COLUMNS, type ChangeRow, isCut, pageOf, toChange } from './change-page.js';

/**
 * A place in the order of all changes, behind the change that has these two: `position` is the one
 * of its transaction in the order of the commits.
 */
export interface FeedPosition {
  position: number;
  sequence: number;
}

export interface FeedQuery {
  /** Default: before the first change that retention has kept. */
  after?: FeedPosition;
  /** The most changes of a page, which holds fewer where they are large; default 50. */
  limit?: number;
}

export type FeedChange = FeedPosition & Change;

export interface FeedPage {
  changes: FeedChange[];
  /** Where to go on: behind the last change; if there was none, behind all that has been committed, and never before `after`. */
  next: FeedPosition;
  /** Whether more has been committed already. */
  hasMore: boolean;
}

export function isBefore(a: FeedPosition, b: FeedPosition): boolean {
  return a.position < b.position || (a.position === b.position && a.sequence < b.sequence);
}

/** Behind everything that has been committed. */
export async function readFeedEnd(db: Db): Promise<FeedPosition> {
  return behind(await settledPosition(db));
}

/**
 * The changes to one kind of entity in the order of their commits, those of one transaction in the
 * order in which it made them. Who goes on from `next`, page after page, meets every change once.
 * For the pool: in a transaction that keeps its snapshot, what was committed after that is skipped.
 *
 * Throws `cursor_expired` when retention has removed what comes next, or when the database was set
 * back to before `after`.
 */
export async function readFeedPage(db: Db, entity: string, query: FeedQuery): Promise<FeedPage> {
  const { after } = query;
  const settled = await settledPosition(db);
  // A statement of its own, so that it sees all up to what the one before has told.
  const rows = await db.execute<Row>(pageQuery(entity, query, settled));
  const { expired_position, expired_sequence } = rows[0]!;
  const expired = { position: Number(expired_position), sequence: Number(expired_sequence) };
  // Not behind what is settled: that goes back by what a transaction has taken that is slow to commit.
  const last = behind(Number(rows[0]!.last_position));
  if (after && (isBefore(after, expired) || isBefore(last, after))) throw cursorExpired();
  const found = rows.filter((row) => row.position !== null);
  const page = found.map((row) => ({ position: Number(row.position), ...toChange(row) }));
  return {
    changes: page,
    next: page.at(-1) ?? later(after ?? expired, behind(settled)),
    hasMore: isCut(found),
  };
}

/**
 * Up to which every transaction has ended: a statement that begins later sees what they did. It may be
 * less than it was before: whoever begins to commit is seen from the position on that it has looked up.
 */
export async function settledPosition(db: Db): Promise<number> {
  const [row] = await db.execute<{ settled: string }>(sql`select changes_settled() as settled`);
  return Number(row!.settled);
}

/** Before the first change of the next commit. */
function behind(position: number): FeedPosition {
  return { position: position + 1, sequence: 0 };
}

function later(a: FeedPosition, b: FeedPosition): FeedPosition {
  return isBefore(a, b) ? b : a;
}

function cursorExpired(): DataError {
  return new DataError('cursor_expired', 'Changes behind this cursor have been removed.');
}

/** Without a change all but the expiry is null. */
interface Row extends ChangeRow {
  expired_position: string;
  expired_sequence: string;
  /** Of the last commit, settled or not. */
  last_position: string;
  position: string | null;
}

/**
 * One row with the expiry at least, of the same snapshot as the changes. The commits are walked by
 * their index from the cursor on, and of each the changes by theirs, so that a page costs the same
 * however long the feed or one transaction in it is.
 */
function pageQuery(entity: string, { after, limit = 50 }: FeedQuery, settled: number) {
  const position = sql`coalesce(${after?.position ?? null}::bigint, expiry.position)`;
  const sequence = sql`coalesce(${after?.sequence ?? null}::bigint, expiry.sequence)`;
  const found = sql`
    select commits.position, of_commit.*
    from change_commits as commits cross join lateral (
      select ${CHANGE_COLUMNS} from changes
      where change_set = commits.change_set and entity = ${entity}
        and sequence > case when commits.position = ${position} then ${sequence} else 0 end
      order by sequence limit ${limit + 1}
    ) as of_commit
    where commits.position >= ${position} and commits.position <= ${settled}
    order by commits.position, of_commit.sequence limit ${limit + 1}`;
  return sql`
    select expiry.position as expired_position, expiry.sequence as expired_sequence,
      (select case when is_called then last_value else 0 end from change_commits_position_seq) as last_position,
      page.*
    from change_expiry as expiry
    left join lateral (${pageOf(found, { order: sql`position, sequence`, limit })}) as page on true
    order by page.place`;
}
