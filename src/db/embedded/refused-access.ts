import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { explainedError } from './explained-error.js';

/** Access is refused, or the path cannot be a directory. */
const REFUSALS = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENAMETOOLONG'];

/** Returns the error unchanged or, if the system refused a file or a directory, an error with its owner and the remedies. */
export async function explained(error: Error, directory: string): Promise<Error> {
  const { code, path } = error as NodeJS.ErrnoException;
  if (!REFUSALS.includes(String(code)) || !path) return error;
  const remedies = [
    ...(await takeOver(path, directory)),
    'set EMBEDDED_POSTGRES_DIR to a directory that you may write to',
    'or set DATABASE_URL',
  ];
  const message = `The embedded PostgreSQL cannot use ${directory} (${error.message}): ${remedies.join(', ')}`;
  return explainedError(message, error);
}

/**
 * Returns advice for a directory in which another user, such as root, has started PostgreSQL. For any other directory,
 * such as /etc, there is none: its owner must not change.
 */
async function takeOver(path: string, directory: string): Promise<string[]> {
  const [refused, own] = [await ownerOf(path), process.getuid?.()];
  const isOurs = await stat(join(directory, 'users')).catch(() => undefined);
  if (refused.uid === own || !isOurs) return [];
  return [
    `${refused.path} belongs to user ${refused.uid} and this process runs as user ${own}`,
    `make the directory yours (sudo chown -R "$(id -u):$(id -g)" '${directory}')`,
  ];
}

/** Returns the owner of the path, or of its nearest parent directory that can be read. */
async function ownerOf(path: string): Promise<{ path: string; uid: number }> {
  const found = await stat(path).catch(() => undefined);
  if (found) return { path, uid: found.uid };
  return path === dirname(path) ? { path, uid: 0 } : await ownerOf(dirname(path));
}
