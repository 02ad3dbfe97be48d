import { DEFAULT_LIMIT } from './keyset-list.js';
import { sql } from 'drizzle-orm';
import { checkedId } from './checked-id.js';
import type { Db } from '../connection.js';
import type { Change } from '../schema.js';
import {
  type FeedPage,
  type FeedPosition,
  type FeedQuery,
  readFeedEnd,
  readFeedPage,
} from './change-feed.js';
import { CHANGE_COLUMNS, type ChangeRow, isCut, pageOf, toChange } from './change-page.js';

export interface HistoryQuery {
  /** The maximum number of changes in a page; a page of large changes has fewer. Default 50. */
  limit?: number;
  /** The `next` of the previous page. */
  before?: number;
}

export interface HistoryPage {
  changes: Change[];
  /** The position of the next page; undefined on the last page. */
  next?: number;
}

export type ChangesFactory = ReturnType<typeof createChangesFactory>;

/** All queries on the stored changes of one kind of entity, such as `skill`. */
export function createChangesFactory(db: Db, entity: string) {
  /** Returns the changes of one entity, the latest first; empty for an id that never existed. */
  async function getHistory(id: string, query: HistoryQuery = {}): Promise<HistoryPage> {
    const { limit = DEFAULT_LIMIT, before } = query;
    const found = sql`
      select ${CHANGE_COLUMNS} from changes
      where entity_id = ${checkedId(id)} and entity = ${entity}
        and sequence < coalesce(${before ?? null}::bigint, ${Number.MAX_SAFE_INTEGER})
      order by sequence desc limit ${limit + 1}`;
    const page = await db.execute<ChangeRow>(pageOf(found, { order: sql`sequence desc`, limit }));
    const changes = page.map(toChange);
    return { changes, next: isCut(page) ? changes.at(-1)!.sequence : undefined };
  }

  return {
    getHistory,
    /** See `readFeedPage` in change-feed.ts. Throws `cursor_expired`. */
    getFeedPage: async (query: FeedQuery = {}): Promise<FeedPage> =>
      await readFeedPage(db, entity, query),
    /** Returns the position after everything that has been committed. */
    getFeedEnd: async (): Promise<FeedPosition> => await readFeedEnd(db),
  };
}
