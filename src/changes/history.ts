import type { HistoryPage } from '../db/entity/changes.factory.js';
import type { Change } from '../db/schema.js';
import { areNumbers, decodeCursor, encodeCursor } from '../http/answers/cursor.js';
import type { PageMetaDto } from '../http/answers/page.js';
import type { HistoryEntryDto } from './dto/change.dto.js';

/** The fields that every update changes. */
const ALWAYS_CHANGED = ['version', 'updatedAt'];

/** A cursor belongs to the history of one row. */
function scopeOf(entity: string, id: string): string {
  return `history of ${entity} ${id}`;
}

/** Decodes the position of a cursor. Throws `invalid_cursor`. */
export function historyPosition(entity: string, id: string, cursor?: string): number | undefined {
  if (cursor === undefined) return undefined;
  return decodeCursor(cursor, { list: scopeOf(entity, id), are: areNumbers<[number]>(1) })[0];
}

/** Returns the cursor of the next page; null on the last page. */
export function historyCursor(entity: string, id: string, { next }: HistoryPage): string | null {
  return next === undefined ? null : encodeCursor([next], scopeOf(entity, id));
}

export function historyMeta(nextCursor: string | null, limit: number): PageMetaDto {
  return { limit, nextCursor, hasMore: nextCursor !== null };
}

export function toHistoryEntry(change: Change): HistoryEntryDto {
  const { version, action, actor, requestId, at } = change;
  const before = change.before as Row | null;
  const after = change.after as Row | null;
  const changed = changedFields(before, after);
  return { version, action, changed, before, after, actor, requestId, at };
}

type Row = Record<string, unknown>;

/** Returns the fields that differ; empty for a creation and for a deletion. */
function changedFields(before: Row | null, after: Row | null): string[] {
  if (!before || !after) return [];
  return Object.keys(after).filter(
    (field) =>
      !ALWAYS_CHANGED.includes(field) &&
      JSON.stringify(before[field]) !== JSON.stringify(after[field]),
  );
}
