import { type FileRecord, recordsOf } from './records.js';
import type { FileRow } from './file-row.js';

/** The rows of newline-delimited JSON, some at a time. */
export async function* readNdjson(source: AsyncIterable<Uint8Array>): AsyncGenerator<FileRow[]> {
  for await (const records of recordsOf(source, { quotes: false })) yield records.map(rowOf);
}

function rowOf({ line, bytes, fault }: FileRecord): FileRow {
  if (fault) return refused(line, fault);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    return refused(line, 'is not valid JSON');
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? { line, value: value as object } : refused(line, 'must be a JSON object');
}

function refused(line: number, message: string): FileRow {
  return { line, faults: [{ path: '', message }] };
}
