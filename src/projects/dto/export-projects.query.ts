import { exportQueryOf } from '../../entities/transfer/export.query.js';
import { ListProjectsQuery } from './list-projects.query.js';

/** The query parameters of an export: the filters and the sort of the list, and the format. */
export const ExportProjectsQuery = exportQueryOf(ListProjectsQuery, [
  'limit',
  'after',
  'id',
  'fields',
  'count',
]);
