import type { ExportFormat, ExportQuery } from '../db/factories/project-export.js';
import { validated } from '../http/validation.js';
import { ExportProjectsQuery } from '../projects/dto/export-projects.query.js';
import { orderOf } from '../projects/project-list.js';

/** The options of the command, named as the parameters of the route. */
export type ExportOptions = { format?: ExportFormat } & Record<string, unknown>;

/** By the rules of the route. Throws `validation_failed`. */
export async function exportQueryOf(options: Record<string, unknown>): Promise<ExportQuery> {
  const { format, sort, ...filters } = await validated(ExportProjectsQuery, options);
  return { ...filters, ...orderOf(sort) };
}
