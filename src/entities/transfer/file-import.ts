import { type Author, setWriteAuthor } from '../../db/entity/author.js';
import type { Db } from '../../db/connection.js';
import { asDataError, DataError, type DataErrorCode, REFUSED_VALUE } from '../../db/errors.js';
import { explainRefusal, refusedRowOf } from '../../db/entity/explain-refusal.js';
import type { ExportFormat } from '../../db/entity/row-export.js';
import { compareRows, type ImportCounts, importRows } from '../../db/entity/row-import.js';
import type { Fault } from '../../http/problems/problem.js';
import { type Batch, Batches } from './batches.js';
import { readCsv } from './csv.js';
import type { Delimiter } from './csv-cells.js';
import type { EntityFile } from './entity-file.js';
import { readNdjson } from './ndjson.js';

export interface ImportOptions {
  format: ExportFormat;
  /** The separator of a CSV file; default: the one in its first row. */
  delimiter?: Delimiter;
  /** With 'skip', valid rows are written when others are refused; default 'abort': nothing is written. */
  onError?: 'abort' | 'skip';
  /** Write nothing and report what would be written. Each row with a repeated id counts as if it were the first. */
  dryRun?: boolean;
  /** The author, for the history. */
  by?: Author;
  /** Called from time to time with the number of rows that have been read. */
  onProgress?: (rows: number) => void;
}

export interface ImportReport extends ImportCounts {
  refused: number;
  /** The faults of the first hundred refused rows. */
  errors: Fault[];
}

/** Thrown if rows were refused, so that nothing was written. */
export class ImportRefused extends Error {
  override readonly name = 'ImportRefused';

  constructor(
    readonly report: ImportReport,
    rows: number,
  ) {
    super(`${report.refused} of ${rows} rows were refused, so nothing was written.`);
  }
}

/** Imports a whole file with FileImport. */
export async function importFile(
  db: Db,
  kind: EntityFile,
  source: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<ImportReport> {
  const file = new FileImport(kind, source, options);
  try {
    await file.begin();
    return await file.write(db);
  } finally {
    file.close();
  }
}

const NONE: ImportCounts = { created: 0, replaced: 0, unchanged: 0 };

/**
 * Writes the rows of a file while it is read, in one transaction: all rows, or with `skip` the valid ones. If reading
 * or writing fails, nothing is written. While the database writes a batch, only one more batch is read.
 *
 * A row with an existing id replaces that row unless the values are equal. Any other row creates one, with the id,
 * times and version of the file. Rows take effect in the order of the file.
 */
export class FileImport {
  readonly #batches: Batches;
  readonly #file: EntityFile;
  readonly #options: ImportOptions;
  #first: Batch | undefined;

  constructor(file: EntityFile, source: AsyncIterable<Uint8Array>, options: ImportOptions) {
    const { format, delimiter, onError, dryRun, onProgress } = options;
    const rows = format === 'csv' ? readCsv(file, source, { delimiter }) : readNdjson(source);
    const skip = onError === 'skip' || dryRun === true;
    this.#file = file;
    this.#batches = new Batches(file, rows, { skip, onProgress });
    this.#options = options;
  }

  /**
   * Reads the first batch, which needs no database connection. Throws the errors of the source, and
   * `validation_failed` for an invalid header of a CSV file.
   */
  async begin(): Promise<void> {
    this.#first = await this.#batches.next();
  }

  /**
   * Writes all batches. Throws ImportRefused, the errors of the source, and `conflict`, `already_exists`,
   * `still_referenced`, `invalid_value`, `statement_timeout`, `pool_exhausted`, `database_unavailable`.
   */
  async write(db: Db): Promise<ImportReport> {
    const { dryRun = false, by = {} } = this.#options;
    const counts = dryRun ? await this.#compareAll(db) : await this.#writeAll(db, by);
    await this.#batches.finish();
    const { refused, errors, read } = this.#batches;
    const report = { ...(counts ?? NONE), refused, errors };
    if (!counts) throw new ImportRefused(report, read);
    return report;
  }

  /** Stops reading the source. */
  close(): void {
    this.#batches.close();
  }

  async #compareAll(db: Db): Promise<ImportCounts> {
    const counts = { ...NONE };
    for (let batch = this.#first; batch; batch = await this.#batches.next()) {
      add(counts, await compareRows(db, this.#file.entity, batch.rows));
    }
    return counts;
  }

  /** Returns undefined if a row was refused and refused rows must not be skipped. */
  async #writeAll(db: Db, by: Author): Promise<ImportCounts | undefined> {
    const first = this.#first;
    if (!first) return this.#batches.isOver ? undefined : { ...NONE };
    const refused = new Error('rolled back');
    try {
      return await db.transaction(async (tx) => {
        await setWriteAuthor(tx, by);
        const counts = await this.#writeBatches(tx, first);
        if (this.#batches.isOver) throw refused;
        return counts;
      });
    } catch (error) {
      if (error === refused) return undefined;
      throw error;
    }
  }

  async #writeBatches(tx: Db, first: Batch): Promise<ImportCounts> {
    const counts = { ...NONE };
    for (let batch: Batch | undefined = first; batch;) {
      const [next, written]: [Batch | undefined, ImportCounts] = await Promise.all([
        this.#batches.next(),
        write(tx, this.#file, batch),
      ]);
      add(counts, written);
      batch = next;
    }
    return counts;
  }
}

async function write(tx: Db, { entity }: EntityFile, batch: Batch): Promise<ImportCounts> {
  try {
    return await importRows(tx, entity, batch.rows);
  } catch (error) {
    throw namingLines(entity, error, batch);
  }
}

const REFUSALS = new Set<DataErrorCode | undefined>([
  'invalid_value',
  'already_exists',
  'still_referenced',
]);

/** Adds the line to the refusal of a constraint, or the lines of all rows that were written together. */
function namingLines(entity: EntityFile['entity'], error: unknown, { rows, lines }: Batch) {
  const refusal = asDataError(explainRefusal(entity, error));
  if (!refusal || !REFUSALS.has(refusal.code)) return error;
  const at = refusedRowOf(entity, error, rows);
  const line = at === undefined ? undefined : lines[at];
  const [place, any] = line
    ? [`line ${line}`, '']
    : [`the lines ${lines[0]} to ${lines.at(-1)}`, 'one of '];
  const faults = refusal.faults?.map((fault) => (line ? { line, ...fault } : fault));
  const message =
    refusal.message === REFUSED_VALUE
      ? `The database refused a value of ${place}.`
      : `${refusal.message} The database refused ${any}${place}.`;
  return new DataError(refusal.code, message, { cause: error, faults });
}

function add(counts: ImportCounts, { created, replaced, unchanged }: ImportCounts): void {
  counts.created += created;
  counts.replaced += replaced;
  counts.unchanged += unchanged;
}
