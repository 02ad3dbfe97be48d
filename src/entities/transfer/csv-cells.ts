/** The characters that may separate two cells. */
export const DELIMITERS = [',', ';', '\t'] as const;
export type Delimiter = (typeof DELIMITERS)[number];

/** The names of the delimiters in requests and commands. */
export const DELIMITER_NAMES = {
  comma: ',',
  semicolon: ';',
  tab: '\t',
} as const satisfies Record<string, Delimiter>;

/** The maximum number of columns of a spreadsheet. */
const MAX_CELLS = 16_384;

/**
 * Parses the cells of one row of CSV (RFC 4180), or returns the fault. It is our own parser because libraries parse a
 * whole file at once, or take ten times as long for a single invalid row.
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
  'its quotes do not follow RFC 4180: write a cell that contains a quote in quotes, and write each quote in it twice';

function endOf(row: string, delimiter: Delimiter, start: number): number {
  const end = row.indexOf(delimiter, start);
  return end < 0 ? row.length : end;
}

/** Returns the index after the closing quote; -1 if there is none. */
function endOfQuotes(row: string, start: number): number {
  let quote = row.indexOf('"', start + 1);
  while (quote >= 0 && row[quote + 1] === '"') quote = row.indexOf('"', quote + 2);
  return quote < 0 ? -1 : quote + 1;
}
