import type { Request } from 'express';
import type { Position, ProjectListQuery, ProjectPage } from '../db/factories/project-list.js';
import { decodeCursor, encodeCursor } from '../http/cursor.js';
import { notValid } from '../http/problem.js';
import type { ListMetaDto, ListProjectsQuery } from './dto/list-projects.query.js';

/** The query object of the factory for a request's parameters. Throws `invalid_cursor`. */
export function listQueryOf(parameters: ListProjectsQuery): ProjectListQuery {
  const { sort, after, id, ...filters } = parameters;
  return {
    ...filters,
    sortBy: sort.replace('-', '') as ProjectListQuery['sortBy'],
    descending: sort.startsWith('-'),
    after: after === undefined ? undefined : positionOf(after, parameters),
  };
}

function positionOf(cursor: string, parameters: ListProjectsQuery): Position {
  const [key, id] = decodeCursor(cursor, boundTo(parameters)) as [string, string];
  return { key, id };
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
function boundTo({ limit, after, fields, count, ...rest }: ListProjectsQuery): string {
  return JSON.stringify(Object.entries(rest).sort(([a], [b]) => a.localeCompare(b)));
}

/** `id` asks for certain projects, so nothing is left to filter, to sort or to page. */
export function refuseBesideIds(req: Request): void {
  const given = new URL(req.originalUrl, 'http://service').searchParams.keys();
  const others = [...new Set(given)].filter((name) => !['id', 'fields'].includes(name));
  if (others.length > 0)
    throw notValid(others.map((path) => ({ path, message: 'does not go with id' })));
}
