import { parse } from 'csv-parse/sync';
import { PROJECT_FIELDS } from '../../db/factories/projects/project-list-query.js';
import { type Fault, notValid } from '../../http/problems/problem.js';
import type { FileRow } from './file-row.js';
import { type FileRecord, recordsOf } from './records.js';

const REQUIRED = ['name', 'description', 'technologies'];
/** An empty cell of these is one that is not there. */
const OPTIONAL = PROJECT_FIELDS.filter((field) => !REQUIRED.includes(field));

/**
 * The rows of a CSV file (RFC 4180), some at a time. Its first row names the columns, in any order;
 * `technologies` is a JSON list. Throws `validation_failed`, before any row, when a column is
 * missing, unknown or there twice.
 */
export async function* readCsv(source: AsyncIterable<Uint8Array>): AsyncGenerator<FileRow[]> {
  let columns: string[] | undefined;
  for await (const records of recordsOf(source, { quotes: true })) {
    if (!columns && records.length > 0) columns = columnsOf(records.shift()!);
    if (columns) yield rowsOf(records, columns);
  }
  if (!columns) throw wrongColumns(REQUIRED.map((path) => ({ path, message: 'is missing' })));
}

function columnsOf({ bytes, fault }: FileRecord): string[] {
  const names = fault ? undefined : cellsOf([bytes])?.[0];
  if (!names) throw wrongColumns([{ path: '', message: fault ?? NOT_CSV }]);
  const faults: Fault[] = [
    ...REQUIRED.filter((name) => !names.includes(name)).map((path) => ({
      path,
      message: 'is missing',
    })),
    ...names.flatMap((path, i) => {
      if (!(PROJECT_FIELDS as string[]).includes(path)) {
        return { path, message: 'there is no such column' };
      }
      return names.indexOf(path) < i ? { path, message: 'is there twice' } : [];
    }),
  ];
  if (faults.length > 0) throw wrongColumns(faults);
  return names;
}

function wrongColumns(faults: Fault[]) {
  return notValid(faults.map(({ path, message }) => ({ line: 1, path, message })));
}

/** The rows of a block at once, as long as all of them are CSV; else each by itself. */
function rowsOf(records: FileRecord[], columns: string[]): FileRow[] {
  const readable = records.filter(({ fault }) => !fault);
  const cells = cellsOf(readable.map(({ bytes }) => bytes));
  if (cells?.length !== readable.length) {
    return records.map((record) => rowOf(record, cellsOf([record.bytes])?.[0], columns));
  }
  let next = 0;
  return records.map((record) => rowOf(record, record.fault ? undefined : cells[next++], columns));
}

const LINE_BREAK = Buffer.from('\n');

/** Undefined if the quotes are not those of CSV. */
function cellsOf(rows: Buffer[]): string[][] | undefined {
  const bytes = Buffer.concat(rows.flatMap((row) => [row, LINE_BREAK]));
  try {
    return parse(bytes, { record_delimiter: '\n', relax_column_count: true });
  } catch {
    return undefined;
  }
}

const NOT_CSV = 'its quotes are not those of CSV (RFC 4180)';

function rowOf(
  { line, fault }: FileRecord,
  cells: string[] | undefined,
  columns: string[],
): FileRow {
  const message =
    fault ??
    (cells === undefined
      ? NOT_CSV
      : cells.length === columns.length
        ? undefined
        : `has ${cells.length} cells for the ${columns.length} columns`);
  if (message) return { line, faults: [{ path: '', message }] };
  const value: Record<string, unknown> = {};
  columns.forEach((column, i) => {
    const content = valueOf(column, cells![i]!);
    if (content !== undefined) value[column] = content;
  });
  return { line, value };
}

function valueOf(column: string, cell: string): unknown {
  if (cell === '' && (OPTIONAL as string[]).includes(column)) return undefined;
  if (column === 'technologies') return jsonOf(cell);
  if (column === 'version') return /^\d{1,15}$/.test(cell) ? Number(cell) : cell;
  return column === 'name' || column === 'description' ? restored(cell) : cell;
}

function jsonOf(cell: string): unknown {
  try {
    return JSON.parse(cell);
  } catch {
    return cell;
  }
}

/** Takes off the apostrophe that the export has put before what a spreadsheet would run (project-export.ts). */
export function restored(cell: string): string {
  return /^'+[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/.test(cell) ? cell.slice(1) : cell;
}
