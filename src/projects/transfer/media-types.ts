import type { ExportFormat } from '../../db/factories/projects/project-export.js';

export const MEDIA_TYPES = {
  ndjson: 'application/x-ndjson',
  csv: 'text/csv',
} as const satisfies Record<ExportFormat, string>;

/** The format of a media type, whatever its parameters. */
export function formatOf(contentType: string): ExportFormat {
  const [type] = contentType.split(';', 1);
  return type!.trim().toLowerCase() === MEDIA_TYPES.csv ? 'csv' : 'ndjson';
}
