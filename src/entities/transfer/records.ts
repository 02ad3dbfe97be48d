import { isUtf8 } from 'node:buffer';

/** The bytes of a row in a file, or the fault that prevents reading it. */
export interface FileRecord {
  /** The number of the line where it begins, from 1. */
  line: number;
  bytes: Buffer;
  fault?: string;
}

interface Options {
  /**
   * For CSV, where a line break inside quotes belongs to the row (RFC 4180): returns the delimiter byte from the
   * first row.
   */
  delimiterIn?: (firstRow: Buffer) => number;
}

/** The maximum length of a row. The longest row of this service needs half of this with any JSON escapes. */
export const MAX_RECORD_BYTES = 1024 * 1024;
/** The size of the blocks that are processed together, even if the chunks are smaller. */
const BLOCK_BYTES = 64 * 1024;

const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;
/** Comma, semicolon and tab, which may separate the cells of the first row. */
const DELIMITERS = [0x2c, 0x3b, 0x09];
const BOM = Buffer.from('\ufeff');

/**
 * Splits a file into rows, in blocks. Lines end with LF or CRLF; a byte order mark and empty lines are skipped. Only
 * one row and one block are in memory: a row that is too long gives a fault, and the next row begins at the next line.
 */
export async function* recordsOf(
  source: AsyncIterable<Uint8Array>,
  options: Options = {},
): AsyncGenerator<FileRecord[]> {
  const splitter = new Splitter(options);
  for await (const block of blocksOf(source)) yield splitter.push(block);
  yield splitter.end();
}

async function* blocksOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of source) {
    parts.push(part);
    bytes += part.length;
    // Many small chunks cost more memory than their content, so they are joined.
    if (bytes < BLOCK_BYTES && parts.length % 1000 > 0) continue;
    const block = Buffer.concat(parts);
    if (bytes >= BLOCK_BYTES) yield block;
    parts = bytes >= BLOCK_BYTES ? [] : [block];
    if (bytes >= BLOCK_BYTES) bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(parts);
}

class Splitter {
  readonly #delimiterIn: Options['delimiterIn'];
  #delimiters = DELIMITERS;
  #line = 1;
  /** The bytes of the incomplete row, and the number of them that have been scanned. */
  #rest: Buffer = Buffer.alloc(0);
  #seen = 0;
  #quoted = false;
  #tooLong = false;
  #linesPassedOver = 0;
  #isFirstBlock = true;
  #isFirstRow = true;

  constructor({ delimiterIn }: Options) {
    this.#delimiterIn = delimiterIn;
  }

  get #quotes(): boolean {
    return this.#delimiterIn !== undefined;
  }

  push(block: Buffer): FileRecord[] {
    return this.#split(this.#withRest(block));
  }

  end(): FileRecord[] {
    const records: FileRecord[] = [];
    if (this.#tooLong || this.#rest.length > 0) this.#record(this.#rest, records);
    this.#rest = Buffer.alloc(0);
    return records;
  }

  #withRest(block: Buffer): Buffer {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, block]) : block;
    const hasBom = this.#isFirstBlock && bytes.subarray(0, BOM.length).equals(BOM);
    this.#isFirstBlock = false;
    return hasBom ? bytes.subarray(BOM.length) : bytes;
  }

  #split(bytes: Buffer): FileRecord[] {
    const records: FileRecord[] = [];
    let start = 0;
    for (let end = this.#endIn(bytes, 0); end >= 0; end = this.#endIn(bytes, start)) {
      if (this.#isEmpty(bytes, start, end)) this.#line++;
      else this.#record(bytes.subarray(start, end), records);
      start = this.#seen = end + 1;
    }
    this.#keep(bytes.subarray(start), start);
    return records;
  }

  /** A fast check for empty lines, because a block may contain nothing else. */
  #isEmpty(bytes: Buffer, start: number, end: number): boolean {
    const isBlank = end === start || (end === start + 1 && bytes[start] === CR);
    return isBlank && !this.#tooLong && this.#linesPassedOver === 0;
  }

  /** Keeps of a too long row only the state that is needed to find its end: quotes and the beginning of a cell. */
  #keep(rest: Buffer, start: number): void {
    this.#tooLong ||= rest.length > MAX_RECORD_BYTES;
    const passedOver = this.#tooLong ? Math.max(0, rest.length - 2) : 0;
    if (this.#quotes) this.#linesPassedOver += linesIn(rest.subarray(0, passedOver));
    this.#rest = rest.subarray(passedOver);
    this.#seen -= start + passedOver;
  }

  /** Returns the end of the row that begins at `start`; -1 if the bytes do not contain it. */
  #endIn(bytes: Buffer, start: number): number {
    if (!this.#quotes) {
      const end = bytes.indexOf(LF, this.#seen);
      this.#seen = bytes.length;
      return end;
    }
    let at = this.#seen;
    for (; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === LF && !this.#quoted) return at;
      if (byte !== QUOTE) continue;
      // A quote opens a quoted cell only at the beginning of the cell.
      if (!this.#quoted) this.#quoted = at === start || this.#delimiters.includes(bytes[at - 1]!);
      else if (at + 1 === bytes.length) break;
      else if (bytes[at + 1] === QUOTE) at++;
      else this.#quoted = false;
    }
    this.#seen = at;
    return -1;
  }

  /** Adds the row, unless it is an empty line. */
  #record(row: Buffer, records: FileRecord[]): void {
    const line = this.#line;
    this.#line += 1 + this.#linesPassedOver + (this.#quotes ? linesIn(row) : 0);
    this.#linesPassedOver = 0;
    this.#quoted = false;
    const tooLong = this.#tooLong || row.length > MAX_RECORD_BYTES;
    this.#tooLong = false;
    const bytes = row.at(-1) === CR ? row.subarray(0, -1) : row;
    if (bytes.length === 0) return;
    if (this.#isFirstRow && this.#delimiterIn) this.#delimiters = [this.#delimiterIn(bytes)];
    this.#isFirstRow = false;
    if (tooLong) records.push({ line, bytes, fault: `is longer than ${MAX_RECORD_BYTES} bytes` });
    else if (isUtf8(bytes)) records.push({ line, bytes });
    else records.push({ line, bytes, fault: 'is not valid UTF-8' });
  }
}

function linesIn(row: Buffer): number {
  let lines = 0;
  for (let at = 0; at < row.length; at++) if (row[at] === LF) lines++;
  return lines;
}
