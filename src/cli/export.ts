import { once } from 'node:events';
import { rename, rm } from 'node:fs/promises';
import { finished, pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Db } from '../db/connection.js';
import { asDataError } from '../db/errors.js';
import type { ExportFormat } from '../db/entity/row-export.js';
import { exportProjects, type ExportQuery } from '../db/factories/projects/project-export.js';
import { createProjectsFactory } from '../db/factories/projects/projects.factory.js';
import { validated } from '../http/contract/validation.js';
import { ExportProjectsQuery } from '../projects/dto/export-projects.query.js';
import { orderOf } from '../projects/project-list.js';
import { requireCsvFor } from '../entities/transfer/media-types.js';
import { createLike, formatOf, isPacked, isReplaceable, openFile, STANDARD } from './files.js';
import { isProgressDrawn, startProgress } from './progress.js';
import {
  forTerminal,
  isOutputClosed,
  type Output,
  outputFailure,
  print,
  type Streams,
} from './terminal.js';

/** The options have the names of the route's parameters. The default format follows the file name. */
export type ExportFileOptions = { format?: ExportFormat } & Record<string, unknown>;

interface Selected {
  query: ExportQuery;
  format: ExportFormat;
  bom: boolean;
  signal: AbortSignal;
  streams: Streams;
}

/**
 * Exports to a file and prints the number of projects. The file gets its name only when it is complete.
 * An existing target that is not a regular file, such as a device, a pipe or a symbolic link, is written
 * to directly. The signal aborts the export and leaves no file. Throws `validation_failed` by the rules
 * of the route.
 */
export async function exportFile(
  db: Db,
  file: string,
  {
    format = formatOf(file),
    signal,
    streams,
    ...options
  }: ExportFileOptions & Pick<Selected, 'signal' | 'streams'>,
): Promise<void> {
  const selected = { ...(await queryOf(options, format)), format, signal, streams };
  const rows = await exportAs(db, file, selected);
  print(streams.errors, `${rows} projects exported`);
}

async function queryOf(
  options: Record<string, unknown>,
  format: ExportFormat,
): Promise<Pick<Selected, 'query' | 'bom'>> {
  const { format: _, bom, sort, ...filters } = await validated(ExportProjectsQuery, options);
  requireCsvFor(format, { bom });
  return { query: { ...filters, ...orderOf(sort) }, bom };
}

async function exportAs(db: Db, file: string, selected: Selected): Promise<number> {
  if (file === STANDARD) return await exportToOutput(db, selected);
  const packed = { ...selected, isPacked: isPacked(file) };
  return (await isReplaceable(file))
    ? await exportWhole(db, file, packed)
    : await exportInto(db, file, packed);
}

async function exportToOutput(db: Db, selected: Selected): Promise<number> {
  const { output } = selected.streams;
  if (output === process.stdout && isOutputClosed()) {
    throw new Error('The standard output is closed.');
  }
  const rows = await exportTo(db, output, selected);
  await new Promise<void>((resolve, reject) => {
    output.write('', (error) => (error ? reject(new Error(outputFailure(error))) : resolve()));
  });
  return rows;
}

type Packed = Selected & { isPacked: boolean };

async function exportWhole(db: Db, file: string, selected: Packed): Promise<number> {
  const partial = `${file}.${process.pid}.partial`;
  await rm(partial, { force: true });
  await createLike(file, partial);
  try {
    const rows = await exportInto(db, partial, selected);
    await rename(partial, file);
    return rows;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

async function exportInto(db: Db, file: string, selected: Packed): Promise<number> {
  const stored = (await openFile(file, 'w')).createWriteStream();
  const gzip = selected.isPacked ? createGzip() : undefined;
  const out = gzip ?? stored;
  const written = gzip ? pipeline(gzip, stored) : finished(stored);
  written.catch(() => undefined); // `await written` or the error that caused it reports the failure
  try {
    const rows = await exportTo(db, out, selected);
    out.end();
    await written;
    return rows;
  } catch (error) {
    out.destroy();
    throw error;
  }
}

async function exportTo(db: Db, out: Output, selected: Selected) {
  const { signal, query, format, bom, streams } = selected;
  const failed = new AbortController();
  out.on('error', (error: NodeJS.ErrnoException) => failed.abort(new Error(outputFailure(error))));
  const ended = AbortSignal.any([signal, failed.signal]);
  const shown = out.isTTY ? forTerminal() : undefined;
  const progress = startProgress(
    streams.errors,
    isProgressDrawn(streams.errors) ? await countOf(db, query) : undefined,
  );
  try {
    return await exportProjects(db, query, {
      format,
      bom,
      write: async (part, rows) => {
        ended.throwIfAborted();
        progress.show(rows, rows);
        if (!out.write(shown?.(part) ?? part)) await once(out, 'drain', { signal: ended });
      },
    });
  } catch (error) {
    ended.throwIfAborted();
    throw error;
  } finally {
    progress.stop();
  }
}

/** Returns the number of projects to export, or an estimate if counting takes too long. */
async function countOf(db: Db, query: ExportQuery): Promise<number | undefined> {
  const { listProjects } = createProjectsFactory(db);
  try {
    return (await listProjects({ ...query, limit: 1, count: 'exact' })).total;
  } catch (error) {
    if (asDataError(error)?.code !== 'statement_timeout') throw error;
    return (await listProjects({ ...query, limit: 1, count: 'estimated' })).total;
  }
}
