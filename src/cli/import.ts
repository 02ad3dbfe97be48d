import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Db } from '../db/connection.js';
import type { Fault } from '../http/problems/problem.js';
import {
  type ImportOptions,
  ImportRefused,
  importProjects,
  type ImportReport,
} from '../projects/transfer/import-projects.js';
import { forTransfer } from '../projects/transfer/limits.js';
import { formatOf, isPacked, LIMITS, openFile, STANDARD } from './files.js';
import { startProgress } from './progress.js';
import { complain, print } from './terminal.js';

/** The format by default as the file's name says. */
export type ImportFileOptions = Partial<Pick<ImportOptions, 'format' | 'onError' | 'dryRun'>>;

type Interruptible = ImportFileOptions & { signal: AbortSignal };

/**
 * Imports a file and prints what became of its rows. Resolves with whether all is as it was asked
 * for. The signal ends it, and nothing of it stays.
 */
export async function importFile(db: Db, file: string, options: Interruptible): Promise<boolean> {
  try {
    const report = await importWatched(db, file, options);
    printFaults(report.errors);
    printCounts(report);
    return options.onError === 'skip' || report.refused === 0;
  } catch (error) {
    if (!(error instanceof ImportRefused)) throw error;
    printFaults(error.report.errors);
    complain(error.message);
    return false;
  }
}

async function importWatched(db: Db, file: string, { signal, ...options }: Interruptible) {
  const { source, size } = await openSource(file);
  signal.addEventListener('abort', () => source.destroy(signal.reason as Error));
  let bytes = 0;
  source.on('data', (part: Buffer) => (bytes += part.length)).pause();
  const progress = startProgress(size);
  try {
    return await importProjects(
      forTransfer(db, LIMITS),
      isPacked(file) ? unpacked(source) : source,
      {
        ...options,
        format: options.format ?? formatOf(file),
        by: { actor: 'cli' },
        onProgress: (rows) => progress.show(rows, bytes),
      },
    );
  } finally {
    progress.stop();
  }
}

async function openSource(file: string): Promise<{ source: Readable; size?: number }> {
  if (file === STANDARD) return { source: process.stdin };
  const opened = await openFile(file, 'r');
  return { source: opened.createReadStream(), size: (await opened.stat()).size };
}

function unpacked(source: Readable): Readable {
  const gunzip = createGunzip();
  source.on('error', (error) => gunzip.destroy(error));
  return source.pipe(gunzip);
}

function printCounts({ created, replaced, unchanged, refused }: ImportReport): void {
  const counts = { created, replaced, unchanged, refused };
  const said = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  print(said.join(', '));
}

function printFaults(faults: Fault[]): void {
  for (const { line, path, message } of faults) {
    complain(`line ${line}: ${path ? `${path} ` : ''}${message}`);
  }
}
