import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { output } from './output.js';
import { explainedError } from './explained-error.js';

/** The user that PostgreSQL runs as. It is empty unless this process is root, because PostgreSQL refuses root. */
export interface SystemUser {
  uid?: number;
  gid?: number;
}

/**
 * Returns, for root, the owner of the cluster in `data` or, if there is no cluster yet, the system user `postgres`,
 * which is created if it does not exist.
 */
export async function systemUser(data: string): Promise<SystemUser> {
  if (process.getuid?.() !== 0) return {};
  if (existsSync(data)) {
    const { uid, gid } = await stat(data);
    if (uid !== 0) return { uid, gid };
  }
  const existing = await postgresUser().catch(() => undefined);
  if (existing) return existing;
  const failure = await createPostgresUser().catch((error: Error) => error);
  return postgresUser().catch(() => {
    throw explainedError(
      'PostgreSQL refuses to run as root, and the system user postgres could not be created ' +
        `(${failure?.message}): create this user, run as an ordinary user, or set DATABASE_URL`,
      failure,
    );
  });
}

async function postgresUser(): Promise<SystemUser> {
  const [uid, gid] = await Promise.all([
    output('id', ['-u', 'postgres']),
    output('id', ['-g', 'postgres']),
  ]);
  return { uid: Number(uid), gid: Number(gid) };
}

async function createPostgresUser(): Promise<void> {
  await output('groupadd', ['--system', '--force', 'postgres']);
  const shell = ['--no-create-home', '--home-dir', '/', '--shell', '/usr/sbin/nologin'];
  await output('useradd', ['--system', '--gid', 'postgres', ...shell, 'postgres']);
}

/**
 * Returns the first directory in `path` that the user cannot enter; undefined if there is none. Directories that do
 * not exist do not count. The check runs `cd` as this user, so that access control lists count as well as modes.
 */
export async function closedTo(user: SystemUser, path: string): Promise<string | undefined> {
  if (user.uid === undefined) return undefined;
  const script = 'for dir do cd "$dir" || { printf %s "$dir" >&3; exit 1; }; done';
  const directories = ancestors(resolve(path)).filter((directory) => existsSync(directory));
  const args = ['-c', `{ ${script}; } 3>&1 >/dev/null 2>&1`, 'sh', ...directories];
  try {
    await promisify(execFile)('/bin/sh', args, { cwd: '/', ...user });
    return undefined;
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    if (!stdout) throw error;
    return stdout;
  }
}

/** Returns the directories from the root down to the path itself. */
function ancestors(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...ancestors(parent), path];
}
