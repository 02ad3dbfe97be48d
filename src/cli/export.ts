import { once } from 'node:events';
import { rename, rm } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Db } from '../db/connection.js';
import {
  type ExportFormat,
  exportProjects,
  type ExportQuery,
} from '../db/factories/project-export.js';
import { validated } from '../http/validation.js';
import { ExportProjectsQuery } from '../projects/dto/export-projects.query.js';
import { orderOf } from '../projects/project-list.js';
import { forTransfer } from '../projects/transfer/limits.js';
import { formatOf, isPacked, LIMITS, openFile, STANDARD } from './files.js';
import { interruptible } from './interruption.js';
import { startProgress } from './progress.js';

/** Named as the parameters of the route; the format by default as the file's name says. */
export type ExportFileOptions = { format?: ExportFormat } & Record<string, unknown>;

interface Selected {
  query: ExportQuery;
  format: ExportFormat;
}

/**
 * Exports to a file, which has its name once it is whole, and prints how many projects it holds.
 * Ctrl-C ends it and leaves no file. Throws `validation_failed` by the rules of the route.
 */
export async function exportFile(
  db: Db,
  file: string,
  { format = formatOf(file), ...options }: ExportFileOptions,
): Promise<void> {
  const selected = { query: await queryOf(options), format };
  const rows = await interruptible((signal) =>
    file === STANDARD
      ? exportTo(db, process.stdout, { ...selected, signal })
      : exportWhole(db, file, { ...selected, signal }),
  );
  console.error(`${rows} projects exported`);
}

async function queryOf(options: Record<string, unknown>): Promise<ExportQuery> {
  const { format, sort, ...filters } = await validated(ExportProjectsQuery, options);
  return { ...filters, ...orderOf(sort) };
}

type Interruptible = Selected & { signal: AbortSignal };

async function exportWhole(db: Db, file: string, selected: Interruptible): Promise<number> {
  const partial = `${file}.${process.pid}.partial`;
  const stored = (await openFile(partial, 'w')).createWriteStream();
  const gzip = isPacked(file) ? createGzip() : undefined;
  const out = gzip ?? stored;
  const written = gzip ? pipeline(gzip, stored) : finished(stored);
  written.catch(() => undefined); // told below, or by what made it fail
  try {
    const rows = await exportTo(db, out, selected);
    out.end();
    await written;
    await rename(partial, file);
    return rows;
  } catch (error) {
    out.destroy();
    await rm(partial, { force: true });
    throw error;
  }
}

async function exportTo(db: Db, out: Writable, { signal, ...selected }: Interruptible) {
  const progress = startProgress();
  const failed = new AbortController();
  out.on('error', (error: NodeJS.ErrnoException) => failed.abort(outputError(error)));
  const ended = AbortSignal.any([signal, failed.signal]);
  try {
    return await exportProjects(forTransfer(db, LIMITS), {
      ...selected,
      write: async (part, rows) => {
        ended.throwIfAborted();
        progress.show(rows);
        if (!out.write(part)) await once(out, 'drain', { signal: ended });
      },
    });
  } catch (error) {
    ended.throwIfAborted();
    throw error;
  } finally {
    progress.stop();
  }
}

function outputError({ code, message }: NodeJS.ErrnoException): Error {
  return new Error(code === 'EPIPE' ? 'Nobody reads the output any more.' : message);
}
