import { FILTER_NAMES, type ProjectFilters } from '../db/factories/projects/project-filters.js';
import type { Position, ProjectListQuery } from '../db/factories/projects/project-list-query.js';
import type { ProjectPage } from '../db/factories/projects/project-page.js';
import { isMomentKey, isTextKey } from '../entities/entity-list.js';
import { decodeCursor, encodeCursor } from '../http/answers/cursor.js';
import { notValid } from '../http/problems/problem.js';
import { isUuid } from '../db/driver/text-format.js';
import type { ListMetaDto, ListProjectsQuery } from './dto/list-projects.query.js';

/** The query object of the factory for a request's parameters. Throws `invalid_cursor`. */
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
    list: boundTo(parameters),
    are: (keys): keys is [string, string] =>
      keys.length === 2 && isKey(keys[0]!) && isUuid(keys[1]),
  });
  return { key, id };
}

/** The order that a `sort` parameter names. */
export function orderOf(sort: string): Pick<ProjectListQuery, 'sortBy' | 'descending'> {
  const descending = sort.startsWith('-');
  const sortBy = (descending ? sort.slice(1) : sort) as ProjectListQuery['sortBy'];
  return { sortBy, descending };
}

export function metaOf(page: ProjectPage, parameters: ListProjectsQuery): ListMetaDto {
  const { next, total, totalIsEstimate } = page;
  return {
    limit: parameters.limit,
    nextCursor: next ? encodeCursor([next.key, next.id], boundTo(parameters)) : null,
    hasMore: next !== undefined,
    ...(total !== undefined && { total, totalIsEstimate }),
  };
}

/** What a cursor belongs to: the filters and the sort, not how much of each project is read. */
function boundTo(parameters: ListProjectsQuery): string {
  return JSON.stringify([parameters.sort, filtersIn(parameters)]);
}

/** Throws `validation_failed` for other parameters beside `id`, which leaves nothing to filter or to sort. */
export function refuseBesideIds(given: Iterable<string>): void {
  const allowed = ['id', 'fields', 'after'];
  const others = [...new Set(given)].filter((name) => !allowed.includes(name));
  if (others.length > 0)
    throw notValid(others.map((path) => ({ path, message: 'does not go with id' })));
}

/** The id of the project that a page of certain projects ends with. Throws `invalid_cursor`. */
export function lastIdOf(cursor: string | undefined, ids: string[]): string | undefined {
  if (cursor === undefined) return undefined;
  const [id] = decodeCursor(cursor, {
    list: boundToIds(ids),
    are: (keys): keys is [string] => keys.length === 1 && wereAsked(keys[0]!, ids),
  });
  return id;
}

function wereAsked(id: string | number, ids: string[]): boolean {
  return ids.some((asked) => asked.toLowerCase() === id);
}

export function metaOfIds({ next }: ProjectPage, ids: string[]): ListMetaDto {
  return {
    limit: ids.length,
    nextCursor: next ? encodeCursor([next.id], boundToIds(ids)) : null,
    hasMore: next !== undefined,
  };
}

function boundToIds(ids: string[]): string {
  return JSON.stringify(['ids', ids.map((id) => id.toLowerCase())]);
}
