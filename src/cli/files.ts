import { lstat, open } from 'node:fs/promises';
import type { ExportFormat } from '../db/entity/row-export.js';
import type { TransferLimits } from '../entities/transfer/limits.js';

/** A file name that stands for the standard input or output. */
export const STANDARD = '-';

/** No limits: a person at a terminal can end the command, and may read a part of its output for a long time. */
export const LIMITS: TransferLimits = {
  silenceMs: 0,
  minBytesPerSecond: 0,
  durationMs: 0,
};

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

/** Creates an empty file to take the place of `file`, with its permissions and, where this process may, its owner. */
export async function createLike(file: string, path: string): Promise<void> {
  const old = await lstat(file).catch(() => undefined);
  const created = await openFile(path, 'wx', old ? 0o600 : 0o666);
  try {
    if (!old) return;
    await created.chown(old.uid, old.gid).catch(() => undefined);
    await created.chmod(old.mode & 0o777); // after chown, which would take some of them away
  } finally {
    await created.close();
  }
}

/** Rejects with a plain error: the codes of some of the system's could be those of a lost database. */
export async function openFile(file: string, flags: 'r' | 'w' | 'wx', mode?: number) {
  try {
    return await open(file, flags, mode);
  } catch (error) {
    // eslint-disable-next-line preserve-caught-error -- see above
    throw new Error((error as Error).message);
  }
}
