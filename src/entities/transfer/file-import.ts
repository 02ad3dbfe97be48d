import { type Author, setWriteAuthor } from '../../db/entity/author.js';
import type { Db } from '../../db/connection.js';
import { asDataError, DataError } from '../../db/errors.js';
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
  /** Of a CSV file; default: the one that its first row uses. */
  delimiter?: Delimiter;
  /** What becomes of the others when a row is refused; default 'abort': nothing is written. */
  onError?: 'abort' | 'skip';
  /** Writes nothing and says what would be. An id that comes again in the file counts as if it were there once. */
  dryRun?: boolean;
  /** For the history. */
  by?: Author;
  /** Is told now and then how many rows have been read. */
  onProgress?: (rows: number) => void;
}

export interface ImportReport extends ImportCounts {
  refused: number;
  /** What is wrong with the first hundred rows that were refused. */
  errors: Fault[];
}

/** Rows were refused, so nothing was written. */
export class ImportRefused extends Error {
  override readonly name = 'ImportRefused';

  constructor(
    readonly report: ImportReport,
    rows: number,
  ) {
    super(`${report.refused} of ${rows} rows were refused, so nothing was written.`);
  }
}

/** Opens a file, imports it whole and closes it, as FileImport describes. */
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
 * Writes the rows of a file as it is read, in one transaction: all rows, or with `skip` all that
 * are not refused; nothing when reading or writing fails. While the database writes, one more batch is
 * read and then no more.
 *
 * A row whose id exists replaces that row, unless it has the same values already; any other creates
 * one, with the id, times and version that it gives. Rows take effect in the order of the file.
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
   * Reads the first batch, for which no connection is needed. Throws what the source throws, and
   * `validation_failed` for the header of a CSV file.
   */
  async begin(): Promise<void> {
    this.#first = await this.#batches.next();
  }

  /**
   * Writes all batches. Throws ImportRefused, what the source throws, and `conflict`,
   * `invalid_value`, `statement_timeout`, `pool_exhausted`, `database_unavailable`.
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

  /** Reads no more of the source. */
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

  /** Undefined when a row was refused that must not be. */
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

async function write(
  tx: Db,
  { entity }: EntityFile,
  { rows, lines }: Batch,
): Promise<ImportCounts> {
  try {
    return await importRows(tx, entity, rows);
  } catch (error) {
    // What the rules here let through and a constraint of the operator's own does not.
    if (asDataError(error)?.code !== 'invalid_value') throw error;
    const message = `The database refused a value of the lines ${lines.join(' to ')}.`;
    throw new DataError('invalid_value', message, { cause: error });
  }
}

function add(counts: ImportCounts, { created, replaced, unchanged }: ImportCounts): void {
  counts.created += created;
  counts.replaced += replaced;
  counts.unchanged += unchanged;
}
