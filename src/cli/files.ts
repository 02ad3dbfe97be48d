import { lstat, open } from 'node:fs/promises';
import type { ExportFormat } from '../db/entity/row-export.js';
import type { TransferLimits } from '../entities/transfer/limits.js';

/** A file name that stands for the standard input or output. */
export const STANDARD = '-';

/** A command has no time limits: a person at a terminal can end it, or may read its output slowly. */
export const LIMITS: TransferLimits = {
  silenceMs: 0,
  minBytesPerSecond: 0,
  durationMs: 0,
};

/** Returns the format from the extension of the file name; the default is NDJSON. */
export function formatOf(file: string): ExportFormat {
  return /\.csv(\.gz)?$/i.test(file) ? 'csv' : 'ndjson';
}

export function isPacked(file: string): boolean {
  return /\.gz$/i.test(file);
}

/** True if the path is a regular file or does not exist, so that another file may replace it. */
export async function isReplaceable(file: string): Promise<boolean> {
  const found = await lstat(file).catch(() => undefined);
  return !found || found.isFile();
}

/** Creates an empty file that will replace `file`, with its permissions and, if allowed, its owner. */
export async function createLike(file: string, path: string): Promise<void> {
  const old = await lstat(file).catch(() => undefined);
  const created = await openFile(path, 'wx', old ? 0o600 : 0o666);
  try {
    if (!old) return;
    await created.chown(old.uid, old.gid).catch(() => undefined);
    await created.chmod(old.mode & 0o777); // after chown, which would remove some of them
  } finally {
    await created.close();
  }
}

/** Rejects with an error without a code: a code of the system could look like that of a lost database. */
export async function openFile(file: string, flags: 'r' | 'w' | 'wx', mode?: number) {
  try {
    return await open(file, flags, mode);
  } catch (error) {
    // eslint-disable-next-line preserve-caught-error -- see above
    throw new Error((error as Error).message);
  }
}
