/** What may stand between two cells of a row. */
export const DELIMITERS = [',', ';', '\t'] as const;
export type Delimiter = (typeof DELIMITERS)[number];

/** What a request and a command call them. */
export const DELIMITER_NAMES = {
  comma: ',',
  semicolon: ';',
  tab: '\t',
} as const satisfies Record<string, Delimiter>;

/** As many columns as a spreadsheet has. */
const MAX_CELLS = 16_384;

/**
 * The cells of one row of CSV (RFC 4180), or what is wrong with it. Our own parser, because one of a
 * library parses a whole file at once, or takes ten times as long for a single row that is wrong.
 */
export function cellsOf(row: string, delimiter: Delimiter): string[] | { fault: string } {
  const cells: string[] = [];
  for (let at = 0; cells.length < MAX_CELLS; at++) {
    const isQuoted = row[at] === '"';
    const end = isQuoted ? endOfQuotes(row, at) : endOf(row, delimiter, at);
    const isAtItsEnd = end === row.length || row[end] === delimiter;
    const cell = isQuoted ? row.slice(at + 1, end - 1).replaceAll('""', '"') : row.slice(at, end);
    if (!isAtItsEnd || (!isQuoted && cell.includes('"'))) return { fault: WRONG_QUOTES };
    cells.push(cell);
    if (end === row.length) return cells;
    at = end;
  }
  return { fault: `has more than ${MAX_CELLS} cells` };
}

const WRONG_QUOTES =
  'its quotes are not those of CSV (RFC 4180): a cell with a quote in it stands in quotes, and each quote in it is doubled';

function endOf(row: string, delimiter: Delimiter, start: number): number {
  const end = row.indexOf(delimiter, start);
  return end < 0 ? row.length : end;
}

/** Behind the closing quote; -1 without one. */
function endOfQuotes(row: string, start: number): number {
  let quote = row.indexOf('"', start + 1);
  while (quote >= 0 && row[quote + 1] === '"') quote = row.indexOf('"', quote + 2);
  return quote < 0 ? -1 : quote + 1;
}
