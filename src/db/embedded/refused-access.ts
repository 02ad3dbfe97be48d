import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const REFUSALS = ['EACCES', 'EPERM', 'EROFS'];

/** The error as it is or, when the system refused access to a file, one that says whose the file is and what to do. */
export async function explained(error: Error, directory: string): Promise<Error> {
  const { code, path } = error as NodeJS.ErrnoException;
  if (!REFUSALS.includes(String(code)) || !path) return error;
  const remedies = [
    ...(await takeOver(path, directory)),
    'set EMBEDDED_POSTGRES_DIR to a directory that you may write to',
    'or set DATABASE_URL',
  ];
  return new Error(
    `The embedded PostgreSQL cannot use ${directory} (${error.message}): ${remedies.join(', ')}`,
    { cause: error },
  );
}

/** Advice for a directory that was made by another user, such as root. */
async function takeOver(path: string, directory: string): Promise<string[]> {
  const [refused, own] = [await ownerOf(path), process.getuid?.()];
  const isThere = await stat(directory).catch(() => undefined);
  if (refused.uid === own || !isThere) return [];
  return [
    `${refused.path} belongs to user ${refused.uid} and this process runs as user ${own}`,
    `make the directory yours (sudo chown -R "$(id -u):$(id -g)" '${directory}')`,
  ];
}

/** Of the path itself, or of the nearest directory above it that can be looked at. */
async function ownerOf(path: string): Promise<{ path: string; uid: number }> {
  const found = await stat(path).catch(() => undefined);
  if (found) return { path, uid: found.uid };
  return path === dirname(path) ? { path, uid: 0 } : await ownerOf(dirname(path));
}
