import { FILTER_NAMES, type ProjectFilters } from '../db/factories/projects/project-filters.js';
import type { Position, ProjectListQuery } from '../db/factories/projects/project-list-query.js';
import type { ProjectPage } from '../db/factories/projects/project-page.js';
import { isMomentKey, isTextKey } from '../entities/entity-list.js';
import { decodeCursor, encodeCursor } from '../http/answers/cursor.js';
import { notValid } from '../http/problems/problem.js';
import { isUuid } from '../db/driver/text-format.js';
import type { ListMetaDto, ListProjectsQuery } from './dto/list-projects.query.js';

/** Converts the parameters of a request to the query of the factory. Throws `invalid_cursor`. */
export function listQueryOf(parameters: ListProjectsQuery): ProjectListQuery {
  const { limit, sort, after, fields, count } = parameters;
  return {
    limit,
    ...orderOf(sort),
    after: after === undefined ? undefined : positionOf(after, parameters),
    ...filtersIn(parameters),
    fields,
    count,
  };
}

function filtersIn(parameters: ListProjectsQuery): ProjectFilters {
  return Object.fromEntries(FILTER_NAMES.map((name) => [name, parameters[name]]));
}

function positionOf(cursor: string, parameters: ListProjectsQuery): Position {
  const isKey = parameters.sort.endsWith('name') ? isTextKey : isMomentKey;
  const [key, id] = decodeCursor(cursor, {
    list: scopeOf(parameters),
    are: (keys): keys is [string, string] =>
      keys.length === 2 && isKey(keys[0]!) && isUuid(keys[1]),
  });
  return { key, id };
}

/** Parses a `sort` parameter. */
export function orderOf(sort: string): Pick<ProjectListQuery, 'sortBy' | 'descending'> {
  const descending = sort.startsWith('-');
  const sortBy = (descending ? sort.slice(1) : sort) as ProjectListQuery['sortBy'];
  return { sortBy, descending };
}

export function metaOf(page: ProjectPage, parameters: ListProjectsQuery): ListMetaDto {
  const { next, total, totalIsEstimate } = page;
  return {
    limit: parameters.limit,
    nextCursor: next ? encodeCursor([next.key, next.id], scopeOf(parameters)) : null,
    hasMore: next !== undefined,
    ...(total !== undefined && { total, totalIsEstimate }),
  };
}

/** Returns the scope of a cursor: the filters and the sort, but not `fields`, `limit` or `count`. */
function scopeOf(parameters: ListProjectsQuery): string {
  return JSON.stringify([parameters.sort, filtersIn(parameters)]);
}

/** Throws `validation_failed` for parameters that cannot be combined with `id`, such as filters and sort. */
export function refuseOtherThanIds(given: Iterable<string>): void {
  const allowed = ['id', 'fields', 'after'];
  const others = [...new Set(given)].filter((name) => !allowed.includes(name));
  if (others.length > 0)
    throw notValid(others.map((path) => ({ path, message: 'cannot be combined with id' })));
}

/** Decodes the cursor of a list by ids: the id of the last project of the previous page. Throws `invalid_cursor`. */
export function lastIdOf(cursor: string | undefined, ids: string[]): string | undefined {
  if (cursor === undefined) return undefined;
  const [id] = decodeCursor(cursor, {
    list: scopeOfIds(ids),
    are: (keys): keys is [string] => keys.length === 1 && isOneOf(keys[0]!, ids),
  });
  return id;
}

function isOneOf(id: string | number, ids: string[]): boolean {
  return ids.some((asked) => asked.toLowerCase() === id);
}

export function metaOfIds({ next }: ProjectPage, ids: string[]): ListMetaDto {
  return {
    limit: ids.length,
    nextCursor: next ? encodeCursor([next.id], scopeOfIds(ids)) : null,
    hasMore: next !== undefined,
  };
}

function scopeOfIds(ids: string[]): string {
  return JSON.stringify(['ids', ids.map((id) => id.toLowerCase())]);
}
