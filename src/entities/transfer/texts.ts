import type { EntityRow } from '../../db/entity/entity.js';
import { documentedProperty } from '../../http/contract/swagger-metadata.js';
import type { EntityResource } from '../entity-resource.js';
import type { EntityFile } from './entity-file.js';
import { MEDIA_TYPES } from './media-types.js';

type Resource<Row extends EntityRow, Values extends object> = Pick<
  EntityResource<Row, Values>,
  'name' | 'path' | 'exampleId' | 'dto'
>;

/** What the documentation says of an import. */
export function importText<Row extends EntityRow, Values extends object>(
  { name, path }: Resource<Row, Values>,
  { kinds, optional }: EntityFile<Values>,
): string {
  const written = quotedList([...kinds.keys()]);
  return `
Reads NDJSON (a ${name} on each line) or CSV of any length as it arrives, in UTF-8; \`Content-Encoding: gzip\` is unpacked. What the export writes can be imported as it is.

CSV is read as in RFC 4180. The first row names the columns, in any order${jsonNote(', and ', kinds)}. The cells are separated by commas, semicolons or tabs: by those of the first row, or by \`delimiter\`. As Excel writes them, a byte order mark and a first row \`sep=;\` are accepted, and rows without any content and empty last columns are passed over. Lines end with CRLF or LF.

A row has ${written}, and may have ${quotedList(optional)}. A row with the \`id\` of a ${name} replaces it, which adds one to its version, or leaves it alone if it stands there already with the same values; any other row creates a ${name}, with the id, times and version that it gives. Where the history of that id goes up to this version or beyond, the ${name} gets the next version instead, unless the row brings a deleted ${name} back exactly as it was. Rows take effect in the order of the file.

All rows are written in one transaction, or none. Where a connection ends before the answer has come, either may be the case: with an \`Idempotency-Key\` the same file may be sent again, and is not written twice. A row that is refused is named by the line where it begins. In a CSV file an apostrophe is taken off that stands before \`=\`, \`+\`, \`-\`, \`@\`, a tab or a line break at the beginning of a text, since the export of ${path} puts one there, and an empty ${quotedList(optional, 'or')} is one that is not given. A row is at most 1 MiB long.

A sender that is silent for 30 seconds is answered 408, and an import may take an hour.`.trim();
}

/** What the documentation says of an export. */
export function exportText<Row extends EntityRow, Values extends object>(
  { path }: Resource<Row, Values>,
  { kinds }: EntityFile<Values>,
): string {
  return `
All ${path} that every filter given lets through, as they stand at one moment: NDJSON, or CSV (RFC 4180${jsonNote('; ', kinds)}). Imported into an empty table it makes the same ${path}, with ids, times and versions.

In CSV, what a spreadsheet would run as a formula (a text that begins with \`=\`, \`+\`, \`-\`, \`@\`, a tab or a line break, behind apostrophes or not) has an apostrophe put before it, which the import takes off.

A file that is not whole ends with a broken connection. A reader that takes nothing for 30 seconds is cut off, and an export may take an hour.`.trim();
}

/** What a file of the export is, by media type. */
export function fileTypes<Row extends EntityRow, Values extends object>(
  { name, exampleId, dto }: Resource<Row, Values>,
  { kinds, optional }: EntityFile<Values>,
): Record<string, { description: string; example: string }> {
  const [id, ...times] = optional;
  const columns = [id!, ...kinds.keys(), ...times];
  const row = columns.map((column) => [column, documentedProperty(dto, column).example]);
  const ndjson = {
    description: `A ${name} on each line.`,
    example: `${JSON.stringify({ ...Object.fromEntries(row), id: exampleId })}\n`,
  };
  return {
    ...Object.fromEntries(MEDIA_TYPES.ndjson.map((type) => [type, ndjson])),
    [MEDIA_TYPES.csv[0]]: {
      description: 'The first row names the columns.',
      example: `${columns.join()}\r\n`,
    },
  };
}

function jsonNote(before: string, kinds: EntityFile['kinds']): string {
  const lists = [...kinds].filter(([, { isJson }]) => isJson).map(([column]) => column);
  if (lists.length === 0) return '';
  return `${before}${quotedList(lists)} ${lists.length > 1 ? 'are JSON lists' : 'is a JSON list'}`;
}

/** `a`, `b` and `c`, in the quotes of Markdown. */
function quotedList(names: readonly string[], word = 'and'): string {
  const quoted = names.map((name) => `\`${name}\``);
  const last = quoted.pop()!;
  return quoted.length > 0 ? `${quoted.join(', ')} ${word} ${last}` : last;
}
