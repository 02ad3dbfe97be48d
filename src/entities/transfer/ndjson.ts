import { type JsonLimits, jsonSizeFault } from '../../http/server/json-size.js';
import type { Fault } from '../../http/problems/problem.js';
import { mapInTurns } from '../../http/streams/turns.js';
import { type FileRecord, recordsOf } from './records.js';
import { type FileRow, refused } from './file-row.js';

/** Higher than any valid row needs. A text below LARGE_BYTES is parsed in a few milliseconds in any case. */
const LIMITS: JsonLimits = { depth: 32, fields: 1000, values: 2000 };
const LARGE_BYTES = 32 * 1024;

/** Reads the rows of newline-delimited JSON in groups. */
export async function* readNdjson(source: AsyncIterable<Uint8Array>): AsyncGenerator<FileRow[]> {
  for await (const records of recordsOf(source)) yield* mapInTurns(records, rowOf);
}

function rowOf({ line, bytes, fault }: FileRecord): FileRow {
  if (fault) return refused(line, '', fault);
  const parsed = parseJson(bytes);
  if ('fault' in parsed) return { line, faults: [parsed.fault] };
  const { value } = parsed;
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject ? { line, value } : refused(line, '', 'must be a JSON object');
}

/** Parses a value of a file, or returns the fault of its text. */
function parseJson(json: Buffer | string): { value: unknown } | { fault: Fault } {
  const fault = json.length > LARGE_BYTES ? sizeFault(json) : undefined;
  if (fault) return { fault };
  try {
    return { value: JSON.parse(json.toString()) };
  } catch {
    return { fault: { path: '', message: 'is not valid JSON' } };
  }
}

/** True if the JSON has more values or deeper nesting than a row may have. */
export function isTooLarge(json: string): boolean {
  return json.length > LARGE_BYTES && sizeFault(json) !== undefined;
}

function sizeFault(json: Buffer | string): Fault | undefined {
  return jsonSizeFault(typeof json === 'string' ? Buffer.from(json) : json, LIMITS);
}
