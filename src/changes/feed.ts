import type { FeedChange, FeedPage, FeedPosition } from '../db/entity/change-feed.js';
import { areNumbers, decodeCursor, encodeCursor } from '../http/answers/cursor.js';
import type { ChangeDto, FeedMetaDto } from './dto/change.dto.js';
import { idFieldOf } from './tracked-entity.js';

/** A cursor belongs to the feed of one entity. */
function scopeOf(entity: string): string {
  return `changes of ${entity}`;
}

export function feedCursor(
  entity: string,
  { position, sequence, commitTime }: FeedPosition,
): string {
  return encodeCursor([position, sequence, commitTime], scopeOf(entity));
}

/** Decodes the position of a cursor. `from` is the parameter or header that held it. Throws `invalid_cursor`. */
export function feedPosition(entity: string, cursor: string, from?: string): FeedPosition {
  const are = areNumbers<[number, number, number]>(3);
  const [position, sequence, commitTime] = decodeCursor(cursor, {
    list: scopeOf(entity),
    are,
    from,
  });
  return { position, sequence, commitTime };
}

export function toChangeDto(change: FeedChange): ChangeDto {
  const { entity, entityId, action, version, before, after, actor, requestId, at } = change;
  const cursor = feedCursor(entity, change);
  const id = { [idFieldOf(entity)]: entityId };
  return { cursor, ...id, action, version, before, after, actor, requestId, at } as ChangeDto;
}

export function feedMeta(entity: string, { next, hasMore }: FeedPage, limit: number): FeedMetaDto {
  return { limit, nextCursor: feedCursor(entity, next), hasMore };
}
