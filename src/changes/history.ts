import type { HistoryPage } from '../db/entity/changes.factory.js';
import type { Change, Project } from '../db/schema.js';
import { areNumbers, decodeCursor, encodeCursor } from '../http/answers/cursor.js';
import type { PageMetaDto } from '../http/answers/page.js';
import type { HistoryEntryDto } from './dto/change.dto.js';

/** What every update changes. */
const EVER_CHANGING = ['version', 'updatedAt'];

/** Where the page behind a cursor begins. Throws `invalid_cursor`. */
export function historyPosition(id: string, cursor?: string): number | undefined {
  if (cursor === undefined) return undefined;
  return decodeCursor(cursor, { list: historyOf(id), are: areNumbers<[number]>(1) })[0];
}

export function historyMeta(id: string, { next }: HistoryPage, limit: number): PageMetaDto {
  return {
    limit,
    nextCursor: next === undefined ? null : encodeCursor([next], historyOf(id)),
    hasMore: next !== undefined,
  };
}

export function toHistoryEntry(change: Change): HistoryEntryDto {
  const { version, action, actor, requestId, at } = change;
  const before = change.before as Project | null;
  const after = change.after as Project | null;
  return {
    version,
    action,
    changed: fieldsChanged(before, after),
    before,
    after,
    actor,
    requestId,
    at,
  };
}

/** What the cursors of one project's history belong to. */
function historyOf(id: string): string {
  return `history ${id}`;
}

/** None where one of them is not there. */
function fieldsChanged(before: Project | null, after: Project | null): string[] {
  if (!before || !after) return [];
  const fields = Object.keys(after) as (keyof Project)[];
  return fields.filter(
    (field) =>
      !EVER_CHANGING.includes(field) &&
      JSON.stringify(before[field]) !== JSON.stringify(after[field]),
  );
}
