import type { EntityRow } from '../../db/entity/entity.js';
import { documentedProperty } from '../../http/internals/swagger.js';
import type { EntityResource } from '../entity-resource.js';
import type { EntityFile } from './entity-file.js';
import { MEDIA_TYPES } from './media-types.js';

type Resource<Row extends EntityRow, Values extends object> = Pick<
  EntityResource<Row, Values>,
  'name' | 'path' | 'exampleId' | 'dto'
>;

/** Returns the documentation of an import. */
export function importText<Row extends EntityRow, Values extends object>(
  { name, path }: Resource<Row, Values>,
  { kinds, optional }: EntityFile<Values>,
): string {
  const written = quotedList([...kinds.keys()].filter((column) => !optional.includes(column)));
  const absent = optional.filter((column) => !kinds.has(column));
  return `
Imports NDJSON (one ${name} per line) or CSV of any length, in UTF-8. The body is processed as a stream and may be compressed (\`Content-Encoding: gzip\`). A file that the export has written can be imported unchanged.

CSV follows RFC 4180. The first row has the names of the columns, in any order${jsonNote(', and ', kinds)}. The separator is a comma, a semicolon or a tab; it is detected in the first row unless \`delimiter\` is given. For files of Excel, a byte order mark and a first row \`sep=;\` are accepted, and empty rows and empty last columns are ignored. Lines end with CRLF or LF.

A row has ${written}, and may have ${quotedList(optional)}. A row with the \`id\` of an existing ${name} replaces it and adds one to its version; if the ${name} already has the same values, it does not change. Any other row creates a ${name}, with the id, times and version of the row. If the history of that id already has this version or a higher one, the ${name} gets the next version instead, unless the row restores a deleted ${name} exactly as it was. Rows take effect in the order of the file.

All rows are written in one transaction, or none. If the connection breaks before the answer arrives, the import may have happened or not: with an \`Idempotency-Key\` you can send the same file again, and it is not written twice. The error of a refused row has the number of the line where the row begins. In a CSV file, the import removes an apostrophe before \`=\`, \`+\`, \`-\`, \`@\`, a tab or a line break at the beginning of a text, because the export of ${path} puts it there. An empty ${quotedList(absent, 'or')} in CSV counts as absent. A row may have at most 1 MiB.

A client that sends nothing for 30 seconds gets 408. An import may take up to an hour.`.trim();
}

/** Returns the documentation of an export. */
export function exportText<Row extends EntityRow, Values extends object>(
  { path }: Resource<Row, Values>,
  { kinds }: EntityFile<Values>,
): string {
  return `
Exports all ${path} that match the filters, in the state of one moment, as NDJSON or CSV (RFC 4180${jsonNote('; ', kinds)}). An import of the file into an empty table creates the same ${path}, with ids, times and versions.

In CSV, the export puts an apostrophe in front of a text that a spreadsheet would run as a formula: one that begins with \`=\`, \`+\`, \`-\`, \`@\`, a tab or a line break, also after apostrophes. The import removes it.

If the export fails after it has begun, the connection is closed, so that an incomplete file is not taken for a complete one. A client that reads nothing for 30 seconds is disconnected. An export may take up to an hour.`.trim();
}

/** Returns the formats of an exported file, by media type, for the documentation. */
export function fileTypes<Row extends EntityRow, Values extends object>(
  { name, exampleId, dto }: Resource<Row, Values>,
  { kinds }: EntityFile<Values>,
): Record<string, { description: string; example: string }> {
  const columns = ['id', ...kinds.keys(), 'createdAt', 'updatedAt', 'version'];
  const row = columns.map((column) => [column, documentedProperty(dto, column).example]);
  const ndjson = {
    description: `A ${name} on each line.`,
    example: `${JSON.stringify({ ...Object.fromEntries(row), id: exampleId })}\n`,
  };
  return {
    ...Object.fromEntries(MEDIA_TYPES.ndjson.map((type) => [type, ndjson])),
    [MEDIA_TYPES.csv[0]]: {
      description: 'The first row has the names of the columns.',
      example: `${columns.join()}\r\n`,
    },
  };
}

function jsonNote(before: string, kinds: EntityFile['kinds']): string {
  const lists = [...kinds].filter(([, { isJson }]) => isJson).map(([column]) => column);
  if (lists.length === 0) return '';
  return `${before}${quotedList(lists)} ${lists.length > 1 ? 'are JSON lists' : 'is a JSON list'}`;
}

/** Formats names as a Markdown list in a sentence: `a`, `b` and `c`. */
function quotedList(names: readonly string[], word = 'and'): string {
  const quoted = names.map((name) => `\`${name}\``);
  const last = quoted.pop()!;
  return quoted.length > 0 ? `${quoted.join(', ')} ${word} ${last}` : last;
}
