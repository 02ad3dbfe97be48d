import { answerable, type Fault, MAX_FAULTS, Problem } from '../../http/problems/problem.js';
import { mapInTurns } from '../../http/streams/turns.js';
import { cellsOf, type Delimiter, DELIMITERS } from './csv-cells.js';
import type { EntityFile } from './entity-file.js';
import { type FileRow, refused } from './file-row.js';
import { isTooLarge } from './ndjson.js';
import { type FileRecord, recordsOf } from './records.js';

export interface CsvOptions {
  /** The separator of cells; default: the one in the first row. */
  delimiter?: Delimiter;
}

/** The columns and the delimiter from the first row. */
interface Header {
  file: EntityFile;
  columns: string[];
  delimiter: Delimiter;
}

/**
 * Reads the rows of a CSV file (RFC 4180) in groups. The first row has the names of the columns, in any order; a
 * list is JSON. A row such as `sep=;` before it, which Excel writes, sets the delimiter. Empty rows and empty last
 * columns are ignored.
 *
 * Throws `validation_failed`, before any row, if a column is missing, unknown or a duplicate.
 */
export async function* readCsv(
  file: EntityFile,
  source: AsyncIterable<Uint8Array>,
  options: CsvOptions = {},
): AsyncGenerator<FileRow[]> {
  let { delimiter } = options;
  const delimiterIn = (row: Buffer) =>
    (delimiter ??= delimiterOf(file, row.toString())).charCodeAt(0);
  let header: Header | undefined;
  for await (const records of recordsOf(source, { delimiterIn })) {
    if (!header && records[0] && SEPARATOR.test(records[0].bytes.toString())) records.shift();
    const first = header ? undefined : records.shift();
    if (first)
      header = { file, delimiter: delimiter!, columns: columnsOf(file, first, delimiter!) };
    const known = header;
    if (known) yield* mapInTurns(records, (record) => rowOf(record, known));
  }
  if (!header) throw wrongColumns(file, missingOf(file));
}

const LONE_CR =
  'its lines end with a carriage return alone ("CSV (Macintosh)" in Excel): save it as "CSV UTF-8", or with line feeds';
const SEPARATOR = /^sep=([,;\t])$/i;

/** Returns the delimiter of `sep=`, or the one that gives the most known columns. */
function delimiterOf(file: EntityFile, firstRow: string): Delimiter {
  const named = SEPARATOR.exec(firstRow)?.[1] as Delimiter | undefined;
  const columnsBy = (delimiter: Delimiter) => {
    const cells = cellsOf(firstRow, delimiter);
    return Array.isArray(cells) ? cells.filter((cell) => isKnown(file, cell)).length : 0;
  };
  return named ?? DELIMITERS.reduce((a, b) => (columnsBy(b) > columnsBy(a) ? b : a));
}

function columnsOf(file: EntityFile, { bytes, fault }: FileRecord, delimiter: Delimiter): string[] {
  if (bytes.includes('\r')) throw wrongColumns(file, [{ path: '', message: LONE_CR }]);
  const cells = fault === undefined ? cellsOf(bytes.toString(), delimiter) : { fault };
  if (!Array.isArray(cells)) throw wrongColumns(file, [{ path: '', message: cells.fault }]);
  const names = withoutLast(cells, 0);
  const seen = new Set<string>();
  const faults = missingOf(file).filter(({ path }) => !names.includes(path));
  for (const path of names) {
    if (!isKnown(file, path)) faults.push({ path, message: 'there is no such column' });
    else if (seen.has(path)) faults.push({ path, message: 'occurs twice' });
    seen.add(path);
    if (faults.length >= MAX_FAULTS) break;
  }
  if (faults.length > 0) throw wrongColumns(file, faults);
  return names;
}

function missingOf(file: EntityFile): Fault[] {
  return requiredOf(file).map((path) => ({ path, message: 'is missing' }));
}

/** The columns that every row has. */
function requiredOf({ kinds, optional }: EntityFile): string[] {
  return [...kinds.keys()].filter((column) => !optional.includes(column));
}

function isKnown({ kinds, optional }: EntityFile, column: string): boolean {
  return kinds.has(column) || optional.includes(column);
}

function wrongColumns(file: EntityFile, faults: Fault[]): Problem {
  const errors = faults.map((fault) => ({ line: 1, ...answerable(fault) }));
  return new Problem(
    'validation_failed',
    `The first row of the file must name its columns: ${requiredOf(file).join(', ')}, and optionally ${file.optional.join(', ')}. Separate them by commas, semicolons or tabs, and save the file as UTF-8 ("CSV UTF-8" in Excel). See errors.`,
    { errors },
  );
}

/** Removes empty cells at the end, but keeps at least `least` cells. */
function withoutLast(cells: string[], least: number): string[] {
  let { length } = cells;
  while (length > least && cells[length - 1] === '') length--;
  return cells.slice(0, length);
}

/** Converts a record to a row; undefined for an empty row. */
function rowOf({ line, bytes, fault }: FileRecord, header: Header): FileRow | undefined {
  if (fault !== undefined) return refused(line, '', fault);
  const found = cellsOf(bytes.toString(), header.delimiter);
  if (!Array.isArray(found)) return refused(line, '', found.fault);
  const { file, columns } = header;
  const cells = found.length > columns.length ? withoutLast(found, columns.length) : found;
  if (cells.every((cell) => cell === '')) return undefined;
  const left = columns.slice(cells.length);
  if (cells.length > columns.length || !left.every((column) => file.optional.includes(column))) {
    const counts = `has ${cells.length} cells for the ${columns.length} columns`;
    return refused(line, '', `${counts}: write a cell that contains the delimiter in quotes`);
  }
  return valuesOf(line, cells, header);
}

function valuesOf(line: number, cells: string[], { file, columns }: Header): FileRow {
  const value: Record<string, unknown> = {};
  for (const [i, cell] of cells.entries()) {
    const column = columns[i]!;
    if (cell === '' && !file.kinds.has(column)) continue; // an empty cell of these counts as absent
    value[column] = valueOf(file, column, cell);
    if (value[column] === undefined)
      return refused(line, column, file.kinds.get(column)?.cellRule ?? 'contains no value');
  }
  return { line, value };
}

/** Parses a cell; undefined if it is not a value of the column. */
function valueOf({ kinds, entity }: EntityFile, column: string, cell: string): unknown {
  if (column === 'version') return /^\d{1,15}$/.test(cell) ? Number(cell) : cell;
  const kind = kinds.get(column);
  if (!kind) return cell;
  const value = kind.isJson && isTooLarge(cell) ? undefined : kind.fromCell(cell);
  return value ?? (cell === '' && !entity.columns[column]!.notNull ? null : undefined);
}
