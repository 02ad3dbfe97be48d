import { and, desc, eq, lt } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { type Change, changes } from '../schema.js';
import {
  type FeedPage,
  type FeedPosition,
  type FeedQuery,
  readFeedEnd,
  readFeedPage,
} from './change-feed.js';

export interface HistoryQuery {
  /** The most changes of a page; default 50. */
  limit?: number;
  /** The `next` of the page before. */
  before?: number;
}

export interface HistoryPage {
  changes: Change[];
  /** Where the next page begins; undefined on the last. */
  next?: number;
}

export type ChangesFactory = ReturnType<typeof createChangesFactory>;

/** Every query on the changes that the database keeps of one kind of entity, such as `project`. */
export function createChangesFactory(db: Db, entity: string) {
  /** What was done to one entity, the last change first; none for an id that never was. */
  async function getHistory(id: string, query: HistoryQuery = {}): Promise<HistoryPage> {
    const { limit = 50, before } = query;
    const found = await db
      .select()
      .from(changes)
      .where(
        and(
          eq(changes.entityId, id),
          eq(changes.entity, entity),
          before === undefined ? undefined : lt(changes.sequence, before),
        ),
      )
      .orderBy(desc(changes.sequence))
      .limit(limit + 1);
    const page = found.slice(0, limit);
    return { changes: page, next: found.length > limit ? page.at(-1)!.sequence : undefined };
  }

  return {
    getHistory,
    /** As `readFeedPage` in change-feed.ts describes it. Throws `cursor_expired`. */
    getFeedPage: async (query: FeedQuery = {}): Promise<FeedPage> =>
      await readFeedPage(db, entity, query),
    /** Behind everything that has been committed. */
    getFeedEnd: async (): Promise<FeedPosition> => await readFeedEnd(db),
  };
}
