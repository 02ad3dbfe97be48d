import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Db } from '../db/connection.js';
import type { Fault } from '../http/problems/problem.js';
import {
  importFile as importRowsOf,
  type ImportOptions,
  ImportRefused,
  type ImportReport,
} from '../entities/transfer/file-import.js';
import { forTransfer } from '../entities/transfer/limits.js';
import { requireCsvFor } from '../entities/transfer/media-types.js';
import { PROJECT_FILE } from '../projects/project-file.js';
import { formatOf, isPacked, LIMITS, openFile, STANDARD } from './files.js';
import { startProgress } from './progress.js';
import { type Output, print, type Streams } from './terminal.js';

/** The default format follows the file name. */
export type ImportFileOptions = Partial<
  Pick<ImportOptions, 'format' | 'delimiter' | 'onError' | 'dryRun'>
>;

type Interruptible = ImportFileOptions & { signal: AbortSignal; streams: Streams };

/**
 * Imports a file and prints the number of rows by outcome. Resolves with true if no row was refused, or
 * if refused rows were to be skipped. The signal aborts the import and rolls it back.
 */
export async function importFile(db: Db, file: string, options: Interruptible): Promise<boolean> {
  const { output, errors } = options.streams;
  try {
    const report = await importWatched(db, file, options);
    printFaults(errors, report.errors);
    print(output, countsOf(report));
    return options.onError === 'skip' || report.refused === 0;
  } catch (error) {
    if (!(error instanceof ImportRefused)) throw error;
    printFaults(errors, error.report.errors);
    print(errors, error.message);
    return false;
  }
}

async function importWatched(db: Db, file: string, { signal, streams, ...options }: Interruptible) {
  const format = options.format ?? formatOf(file);
  requireCsvFor(format, { delimiter: options.delimiter });
  const { source, size } = await openSource(file, streams.input);
  signal.addEventListener('abort', () => source.destroy(signal.reason as Error));
  let bytes = 0;
  source.on('data', (part: Buffer) => (bytes += part.length)).pause();
  const progress = startProgress(streams.errors, size);
  try {
    return await importRowsOf(
      forTransfer(db, LIMITS),
      PROJECT_FILE,
      isPacked(file) ? unpacked(source) : source,
      {
        ...options,
        format,
        by: { actor: 'cli' },
        onProgress: (rows) => progress.show(rows, bytes),
      },
    );
  } finally {
    progress.stop();
  }
}

async function openSource(
  file: string,
  input: Readable,
): Promise<{ source: Readable; size?: number }> {
  if (file === STANDARD) return { source: input };
  const opened = await openFile(file, 'r');
  return { source: opened.createReadStream(), size: (await opened.stat()).size };
}

function unpacked(source: Readable): Readable {
  const gunzip = createGunzip();
  source.on('error', (error) => gunzip.destroy(error));
  return source.pipe(gunzip);
}

function countsOf({ created, replaced, unchanged, refused }: ImportReport): string {
  const counts = { created, replaced, unchanged, refused };
  return Object.entries(counts)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}

function printFaults(errors: Output, faults: Fault[]): void {
  for (const { line, path, message } of faults) {
    print(errors, `line ${line}: ${path ? `${path} ` : ''}${message}`);
  }
}
