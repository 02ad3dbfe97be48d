import { sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import { type ExportOptions, exportRows } from '../../entity/row-export.js';
import { projects } from '../../schema.js';
import { PROJECT } from './columns.js';
import { isSearched, projectFilters } from './project-filters.js';
import {
  asParameters,
  inOrder,
  prepareSearch,
  searchedBy,
  valuesOf,
} from './project-list-filters.js';
import { normalizeQuery, type ProjectListQuery } from './project-list-query.js';

/** The filters and the sort of a list's query, without paging. */
export type ExportQuery = Omit<ProjectListQuery, 'limit' | 'after' | 'fields' | 'count'>;

/** Writes all projects that the query selects to a file, as `exportRows` describes it. */
export async function exportProjects(
  db: Db,
  query: ExportQuery,
  options: ExportOptions,
): Promise<number> {
  const list = normalizeQuery(query);
  const [found] = isSearched(list) ? await prepareSearch(db).execute(searchedBy(list)) : [];
  const key = sql`${projects[list.sortBy]}`;
  return await exportRows(db, PROJECT, {
    where: projectFilters(list, asParameters(valuesOf(list, found?.search))),
    orderBy: inOrder(list, key, sql`${projects.id}`),
    ...options,
  });
}
