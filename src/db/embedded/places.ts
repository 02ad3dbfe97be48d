import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { closedTo, type SystemUser, systemUser } from './system-user.js';

/** The directory for files that must be reachable for the system user if this process is root. */
export const SHARED_DIRECTORY = '/var/lib/embedded-postgres';

/** The directory of an embedded PostgreSQL, and the user that it runs as. */
export interface Place {
  directory: string;
  user: SystemUser;
}

/**
 * Returns the requested directory, or one below `shared` if this process is root and the system user cannot enter the
 * requested one. It is created if it does not exist. A cluster that exists in one of the two places is used there; if
 * the system user cannot reach it, the call rejects with the remedies.
 */
export async function placeOf(path: string, shared = SHARED_DIRECTORY): Promise<Place> {
  const wanted = resolve(path);
  await checkIsNoFile(wanted);
  const user = await systemUser(join(wanted, 'data'));
  const closed = await closedTo(user, wanted);
  const moved = join(shared, 'data', relative('/', wanted));
  const isMoved = user.uid !== undefined && existsSync(join(moved, 'data'));
  if (!closed && !(isMoved && !existsSync(join(wanted, 'data')))) {
    await mkdir(wanted, { recursive: true });
    return { directory: wanted, user };
  }
  if (existsSync(join(wanted, 'data'))) throw unreachable(wanted, closed!, user);
  await makeOpen(shared, moved);
  return { directory: moved, user: await systemUser(join(moved, 'data')) };
}

/** Rejects with ENOTDIR if the path, or a part of it, is a file: otherwise it would count as closed to the system user. */
async function checkIsNoFile(path: string): Promise<void> {
  await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOTDIR') throw error;
  });
}

function unreachable(wanted: string, closed: string, { uid }: SystemUser): Error {
  return new Error(
    `The embedded PostgreSQL runs as the system user with id ${uid}, since it may not run as root, and this user ` +
      `cannot enter ${closed} on the way to ${wanted}: grant it access (chmod o+x '${closed}'), run as an ordinary ` +
      'user, set EMBEDDED_POSTGRES_DIR to another directory, or set DATABASE_URL',
  );
}

/**
 * Returns the directory of the programs: that of the package, or a copy below `shared` if the system user cannot
 * enter it. The copy is made once for each version.
 */
export async function reachablePrograms(
  packageRoot: string,
  user: SystemUser,
  shared: string,
): Promise<string> {
  const native = join(packageRoot, 'native');
  if (!(await closedTo(user, join(native, 'bin')))) return native;
  const { version } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8')) as {
    version: string;
  };
  const programs = join(shared, 'programs');
  const copy = join(programs, `${basename(packageRoot)}-${version}`);
  if (existsSync(copy)) return copy;
  await makeOpen(shared, programs);
  const unfinished = await mkdtemp(join(programs, '.copy-'));
  await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
  await openToAll(unfinished);
  // Another process may have made the copy meanwhile.
  await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true }));
  return copy;
}

/** Creates the directory and makes it and its parents, up to `shared`, accessible to every user, independent of the umask. */
async function makeOpen(shared: string, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (let path = directory; path.startsWith(shared); path = dirname(path))
    await chmod(path, 0o755);
}

async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const { mode } = await stat(path);
    await chmod(path, mode | (mode & 0o100 ? 0o555 : 0o444));
  }
}
