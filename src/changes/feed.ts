import type { FeedChange, FeedPage, FeedPosition } from '../db/entity/change-feed.js';
import { areNumbers, decodeCursor, encodeCursor } from '../http/answers/cursor.js';
import type { ChangeDto, FeedMetaDto } from './dto/change.dto.js';

/** What the cursors of the feed belong to. */
const FEED = 'changes';

export function feedCursor({ position, sequence }: FeedPosition): string {
  return encodeCursor([position, sequence], FEED);
}

/** The place that a cursor names; `from` is where it stood in the request. Throws `invalid_cursor`. */
export function feedPosition(cursor: string, from?: string): FeedPosition {
  const are = areNumbers<[number, number]>(2);
  const [position, sequence] = decodeCursor(cursor, { list: FEED, are, from });
  return { position, sequence };
}

export function toChangeDto(change: FeedChange): ChangeDto {
  const { entityId, action, version, before, after, actor, requestId, at } = change;
  return {
    cursor: feedCursor(change),
    projectId: entityId,
    action,
    version,
    before: before as ChangeDto['before'],
    after: after as ChangeDto['after'],
    actor,
    requestId,
    at,
  };
}

export function feedMeta({ next, hasMore }: FeedPage, limit: number): FeedMetaDto {
  return { limit, nextCursor: feedCursor(next), hasMore };
}
