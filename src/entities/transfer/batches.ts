import type { ImportRow } from '../../db/entity/row-import.js';
import { answerable, type Fault } from '../../http/problems/problem.js';
import { Turn } from '../../http/streams/turns.js';
import { type Checked, checkRow, plainRow, rowIfValid } from './check-row.js';
import type { EntityFile } from './entity-file.js';
import type { FileRow } from './file-row.js';

/** Rows that are written together. Their ids are distinct. */
export interface Batch {
  rows: ImportRow[];
  /** The line of each row. */
  lines: number[];
}

interface BatchesOptions {
  /** Keep the valid rows when others are refused. */
  skip: boolean;
  onProgress?: (rows: number) => void;
}

const MOST_ROWS = 1000;
/** The maximum number of characters in a batch. */
const MOST_CHARACTERS = 500_000;
/** The maximum number of refused rows whose faults are reported. */
const MOST_REFUSED_ROWS = 100;
const MOST_FAULTS_OF_A_ROW = 5;

/**
 * Checks the rows of a file and groups them into batches for one statement each. A repeated id begins a new batch, so
 * that rows take effect in the order of the file. Only one batch and the faults of the first hundred refused rows are
 * in memory, however long the file is.
 */
export class Batches {
  /** The number of rows read so far. */
  read = 0;
  refused = 0;
  readonly errors: Fault[] = [];

  readonly #skip: boolean;
  readonly #onProgress: ((rows: number) => void) | undefined;
  readonly #batches: AsyncGenerator<Batch>;
  readonly #file: EntityFile;
  #collected: Collected;

  constructor(
    file: EntityFile,
    rows: AsyncIterable<FileRow[]>,
    { skip, onProgress }: BatchesOptions,
  ) {
    this.#file = file;
    this.#collected = new Collected(file);
    this.#skip = skip;
    this.#onProgress = onProgress;
    this.#batches = this.#collect(rows);
  }

  /** Returns the next batch; undefined at the end of the file, and, without `skip`, after a row was refused. */
  async next(): Promise<Batch | undefined> {
    const { value } = (await this.#batches.next()) as IteratorResult<Batch, undefined>;
    return this.isOver ? undefined : value;
  }

  /** Reads and checks the rest of the file. */
  async finish(): Promise<void> {
    while (!(await this.#batches.next()).done);
  }

  /** Stops reading after the pending read, for an import that is aborted. */
  close(): void {
    void this.#batches.return(undefined).catch(() => undefined);
  }

  /** True if a row was refused and refused rows must not be skipped. */
  get isOver(): boolean {
    return !this.#skip && this.refused > 0;
  }

  async *#collect(rows: AsyncIterable<FileRow[]>): AsyncGenerator<Batch> {
    const turn = new Turn();
    for await (const block of rows) {
      for (const row of block) {
        if (turn.isOver) await turn.next();
        const checked = (row.value && plainRow(this.#file, row.value)) ?? (await this.#check(row));
        this.read++;
        if (!checked) {
          // Return immediately, so that the caller does not wait for rows that will not be written.
          if (this.refused === 1 && !this.#skip) yield this.#take();
        } else if (!this.isOver) {
          if (this.#collected.isFullFor(checked)) yield this.#take();
          this.#collected.add(checked, row.line);
        }
      }
      this.#onProgress?.(this.read);
    }
    if (!this.isOver && this.#collected.rows.length > 0) yield this.#take();
  }

  /** Returns the row; undefined if it is refused. After the first hundred refused rows their faults are not collected. */
  async #check({ line, value, faults = [] }: FileRow): Promise<ImportRow | undefined> {
    if (this.refused >= MOST_REFUSED_ROWS) {
      const row = value && rowIfValid(this.#file, value);
      if (!row) this.refused++;
      return row;
    }
    const checked: Checked = value ? await checkRow(this.#file, value) : { faults };
    if (checked.row) return checked.row;
    this.refused++;
    const reported = checked.faults.slice(0, MOST_FAULTS_OF_A_ROW);
    this.errors.push(...reported.map((fault) => ({ line, ...answerable(fault) })));
    return undefined;
  }

  #take(): Batch {
    const { rows, lines } = this.#collected;
    this.#collected = new Collected(this.#file);
    return { rows, lines };
  }
}

class Collected {
  readonly rows: ImportRow[] = [];
  readonly lines: number[] = [];
  readonly #ids = new Set<string>();
  readonly #kinds: EntityFile['kinds'];
  #characters = 0;

  constructor({ kinds }: EntityFile) {
    this.#kinds = kinds;
  }

  isFullFor({ id }: ImportRow): boolean {
    return (
      this.rows.length >= MOST_ROWS ||
      this.#characters >= MOST_CHARACTERS ||
      (id !== undefined && this.#ids.has(id))
    );
  }

  add(row: ImportRow, line: number): void {
    this.rows.push(row);
    this.lines.push(line);
    if (row.id) this.#ids.add(row.id);
    for (const [name, kind] of this.#kinds) {
      const value: unknown = row[name as never];
      if (value != null) this.#characters += kind.lengthOf(value);
    }
  }
}
