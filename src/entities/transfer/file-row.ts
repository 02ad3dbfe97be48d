import type { Fault } from '../../http/problems/problem.js';

/** A row of a file: its unchecked value, or the faults that prevent reading it. */
export type FileRow = { line: number } & (
  { value: object; faults?: undefined } | { value?: undefined; faults: Fault[] }
);

export function refused(line: number, path: string, message: string): FileRow {
  return { line, faults: [{ path, message }] };
}
