import type { ExportFormat } from '../../db/entity/row-export.js';
import { notValid } from '../../http/problems/problem.js';

/** The media types of each format, the usual one first. NDJSON has no registered type, so several are in use. */
export const MEDIA_TYPES = {
  ndjson: ['application/x-ndjson', 'application/ndjson', 'application/jsonl'],
  csv: ['text/csv'],
} as const satisfies Record<ExportFormat, readonly string[]>;

/** Returns the format of a media type; its parameters are ignored. */
export function formatOf(contentType: string): ExportFormat {
  const type = contentType.split(';', 1)[0]!.trim().toLowerCase();
  return (MEDIA_TYPES.csv as readonly string[]).includes(type) ? 'csv' : 'ndjson';
}

/** Throws `validation_failed` if a parameter is given that only CSV has. */
export function requireCsvFor(format: ExportFormat, parameters: Record<string, unknown>): void {
  const [path] = Object.entries(parameters).find(([, value]) => value) ?? [];
  if (format === 'csv' || path === undefined) return;
  throw notValid([{ path, message: 'is for CSV only, and this file is NDJSON' }]);
}
