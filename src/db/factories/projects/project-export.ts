import { sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import { type ExportOptions, exportRows } from '../../entity/row-export.js';
import { projects } from '../../schema.js';
import { PROJECT } from './columns.js';
import {
  asParameters,
  inOrder,
  isSearched,
  prepareSearch,
  projectFilters,
  searchedBy,
  valuesOf,
} from './project-list-filters.js';
import type { ProjectListQuery } from './project-list-query.js';

/** The filters and the sort of a list's query, without paging. */
export type ExportQuery = Omit<ProjectListQuery, 'limit' | 'after' | 'fields' | 'count'>;

/** Writes all projects that the query selects to a file, as `exportRows` describes it. */
export async function exportProjects(
  db: Db,
  query: ExportQuery,
  options: ExportOptions,
): Promise<number> {
  const [found] = isSearched(query) ? await prepareSearch(db).execute(searchedBy(query)) : [];
  const key = sql`${projects[query.sortBy ?? 'createdAt']}`;
  return await exportRows(db, PROJECT, {
    where: projectFilters(query, asParameters(valuesOf(query, found?.search))),
    orderBy: inOrder(query, key, sql`${projects.id}`),
    ...options,
  });
}
