import { exportQueryOf } from '../../entities/transfer/export.query.js';
import { ListProjectsQuery } from './list-projects.query.js';

/** The filters and the order of the list. */
export const ExportProjectsQuery = exportQueryOf(ListProjectsQuery, [
  'limit',
  'after',
  'id',
  'fields',
  'count',
]);
