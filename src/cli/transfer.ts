import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { Db } from '../db/connection.js';
import {
  type ExportFormat,
  exportProjects,
  type ExportQuery,
} from '../db/factories/project-export.js';
import type { Fault } from '../http/problem.js';
import {
  type ImportOptions,
  ImportRefused,
  importProjects,
  type ImportReport,
} from '../projects/transfer/import-projects.js';
import { DEFAULT_LIMITS, forTransfer } from '../projects/transfer/limits.js';
import { type Progress, startProgress } from './progress.js';

/** A file name that stands for the standard input or output. */
export const STANDARD = '-';

/** A person may stop and look; nobody is in their way for longer than they want. */
const LIMITS = { ...DEFAULT_LIMITS, durationMs: 0 };

export type ImportFileOptions = Pick<ImportOptions, 'onError' | 'dryRun'> & {
  /** Default by the name of the file, else NDJSON. */
  format?: ExportFormat;
};

/**
 * Imports a file and prints what became of its rows. Resolves with whether all is as it was asked
 * for. Ctrl-C ends it, and nothing of it stays.
 */
export async function importFile(
  db: Db,
  file: string,
  options: ImportFileOptions,
): Promise<boolean> {
  const source = file === STANDARD ? process.stdin : createReadStream(file);
  const progress = startProgress(file === STANDARD ? undefined : (await stat(file)).size);
  let bytes = 0;
  source.on('data', (part: Buffer) => (bytes += part.length)).pause();
  const stop = () => source.destroy(new Error('It was interrupted; nothing was written.'));
  process.once('SIGINT', stop);
  try {
    const report = await importProjects(forTransfer(db, LIMITS), unpacked(source, file), {
      ...options,
      format: options.format ?? formatOf(file),
      by: { actor: 'cli' },
      onProgress: (rows) => progress.show(rows, bytes),
    });
    progress.stop();
    printReport(report);
    return options.onError === 'skip' || report.refused === 0;
  } catch (error) {
    progress.stop();
    if (!(error instanceof ImportRefused)) throw error;
    printFaults(error.report.errors);
    console.error(error.message);
    return false;
  } finally {
    process.off('SIGINT', stop);
  }
}

function unpacked(source: NodeJS.ReadableStream, file: string): AsyncIterable<Uint8Array> {
  if (!file.endsWith('.gz')) return source as AsyncIterable<Uint8Array>;
  const gunzip = createGunzip();
  source.on('error', (error: Error) => gunzip.destroy(error));
  return source.pipe(gunzip);
}

function printReport({ errors, ...counts }: ImportReport): void {
  printFaults(errors);
  const said = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  console.log(said.join(', '));
}

function printFaults(faults: Fault[]): void {
  for (const { line, path, message } of faults) {
    console.error(`line ${line}: ${path ? `${path} ` : ''}${message}`);
  }
}

/** Exports to a file, which takes its name once it is whole. Ctrl-C ends it and leaves no file. */
export async function exportFile(
  db: Db,
  file: string,
  { format = formatOf(file), query }: { format?: ExportFormat; query: ExportQuery },
): Promise<void> {
  if (file === STANDARD) return await exportTo(db, process.stdout, { format, query });
  const partial = `${file}.${process.pid}.partial`;
  const out = createWriteStream(partial);
  try {
    await exportTo(db, out, { format, query });
    out.end();
    await finished(out);
    await rename(partial, file);
  } catch (error) {
    out.destroy();
    await rm(partial, { force: true });
    throw error;
  }
}

async function exportTo(
  db: Db,
  out: NodeJS.WritableStream,
  { format, query }: { format: ExportFormat; query: ExportQuery },
): Promise<void> {
  const progress: Progress = startProgress();
  const stopped = new AbortController();
  const stop = () => stopped.abort(new Error('It was interrupted.'));
  process.once('SIGINT', stop);
  out.on('error', (error: NodeJS.ErrnoException) =>
    stopped.abort(error.code === 'EPIPE' ? new Error('Nobody reads the output any more.') : error),
  );
  try {
    const rows = await exportProjects(forTransfer(db, LIMITS), {
      query,
      format,
      write: async (text, count) => {
        stopped.signal.throwIfAborted();
        progress.show(count);
        if (!out.write(text)) await once(out, 'drain', { signal: stopped.signal });
      },
    });
    progress.stop();
    console.error(`${rows} projects exported`);
  } catch (error) {
    progress.stop();
    throw stopped.signal.aborted ? stopped.signal.reason : error;
  } finally {
    process.off('SIGINT', stop);
  }
}

function formatOf(file: string): ExportFormat {
  return /\.csv(\.gz)?$/i.test(file) ? 'csv' : 'ndjson';
}
