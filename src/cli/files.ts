import { lstat, open } from 'node:fs/promises';
import type { ExportFormat } from '../db/factories/projects/project-export.js';
import type { TransferLimits } from '../projects/transfer/limits.js';

/** A file name that stands for the standard input or output. */
export const STANDARD = '-';

/** None: who sits before a terminal ends what takes too long, and may look at a part of it for long. */
export const LIMITS: TransferLimits = { silenceMs: 0, durationMs: 0 };

/** By its name; NDJSON if that does not say. */
export function formatOf(file: string): ExportFormat {
  return /\.csv(\.gz)?$/i.test(file) ? 'csv' : 'ndjson';
}

export function isPacked(file: string): boolean {
  return /\.gz$/i.test(file);
}

/** Whether another file may be given this name: a plain one has it, or none. */
export async function isReplaceable(file: string): Promise<boolean> {
  const found = await lstat(file).catch(() => undefined);
  return !found || found.isFile();
}

/** Rejects with a plain error: the codes of some of the system's could be those of a lost database. */
export async function openFile(file: string, flags: 'r' | 'w') {
  try {
    return await open(file, flags);
  } catch (error) {
    // eslint-disable-next-line preserve-caught-error -- see above
    throw new Error((error as Error).message);
  }
}
