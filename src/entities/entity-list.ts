import { isUuid } from '../db/driver/text-format.js';
import type { Entity } from '../db/entity/entity.js';
import type { FilterValues } from '../db/entity/filters.js';
import type { ListPage, ListQuery, Position } from '../db/entity/keyset-list.js';
import { decodeCursor, encodeCursor } from '../http/answers/cursor.js';
import type { PageMetaDto } from '../http/answers/page.js';
import { isKnownYear } from '../http/contract/moments.js';

/** The query parameters of a list. Each filter is a further field with its name. */
export interface EntityListQuery {
  limit: number;
  after?: string;
  sort: string;
}

/** Converts the parameters of a request to the query of the factory. Throws `invalid_cursor`. */
export function toListQuery(entity: Entity, parameters: EntityListQuery): ListQuery {
  const { limit, sort, after } = parameters;
  return {
    limit,
    sort,
    after: after === undefined ? undefined : positionOf(entity, after, parameters),
    filters: filterValuesOf(entity, parameters),
  };
}

export function toPageMeta(
  entity: Entity,
  { next }: ListPage<unknown>,
  parameters: EntityListQuery,
): PageMetaDto {
  return {
    limit: parameters.limit,
    nextCursor: next ? encodeCursor([next.key, next.id], scopeOf(entity, parameters)) : null,
    hasMore: next !== undefined,
  };
}

function positionOf(entity: Entity, cursor: string, parameters: EntityListQuery): Position {
  const isKey = keyCheckOf(entity, parameters.sort);
  const [key, id] = decodeCursor(cursor, {
    list: scopeOf(entity, parameters),
    are: (keys): keys is [string, string] =>
      keys.length === 2 && isKey(keys[0]!) && isUuid(keys[1]),
  });
  return { key, id };
}

function filterValuesOf({ filters }: Entity, parameters: EntityListQuery): FilterValues {
  const given = parameters as unknown as Record<string, unknown>;
  return Object.fromEntries(Object.keys(filters).map((name) => [name, given[name]]));
}

/** Returns the scope of a cursor: the entity, its filters and the sort, but not the page size. */
function scopeOf(entity: Entity, parameters: EntityListQuery): string {
  return JSON.stringify([entity.name, parameters.sort, filterValuesOf(entity, parameters)]);
}

/** Returns a check for the sort key of a cursor, because anybody can create a cursor with another key. */
function keyCheckOf(entity: Entity, sort: string): (key: string | number) => boolean {
  const type = entity.columns[sort.replace(/^-/, '')]!.getSQLType();
  if (type.startsWith('timestamp')) return (key) => isMomentKey(key) || isTimestampText(key);
  if (type === 'integer') return isIntegerKey;
  return isTextKey;
}

export function isTextKey(key: string | number): boolean {
  return typeof key === 'string' && key.isWellFormed() && !key.includes('\0');
}

/** Checks that the key is a timestamp in the format of the database's answers. */
export function isMomentKey(key: string | number): boolean {
  if (typeof key !== 'string') return false;
  if (/^-?infinity$/.test(key)) return true;
  const time = Date.parse(key);
  return isKnownYear(time) && new Date(time).toISOString() === key;
}

/** True for a timestamp as PostgreSQL writes it, which a column has that is not a `moment`: `2026-01-31 12:00:00.5+00`. */
function isTimestampText(key: string | number): boolean {
  return /^\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d)*)?( BC)?$/.test(String(key));
}

function isIntegerKey(key: string | number): boolean {
  return typeof key === 'string' && /^-?\d{1,10}$/.test(key) && Math.abs(Number(key)) < 2 ** 31;
}
