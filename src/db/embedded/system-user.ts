import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { output } from './output.js';

/** The user that PostgreSQL runs as. Empty unless this process is root, whom PostgreSQL refuses. */
export interface SystemUser {
  uid?: number;
  gid?: number;
}

/**
 * For root: the owner of the cluster in `data` or, before there is one, the system user `postgres`, which is created
 * when missing.
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
    throw new Error(
      'PostgreSQL refuses to run as root, and the system user postgres could not be created ' +
        `(${failure?.message}): create it, work as an ordinary user, or set DATABASE_URL`,
      { cause: failure },
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
 * The first directory on the way to `path` that the user cannot enter; undefined when there is none. What does not
 * exist yet does not count. The user tries to enter, so that access control lists count as well as modes.
 */
export async function closedTo(user: SystemUser, path: string): Promise<string | undefined> {
  if (user.uid === undefined) return undefined;
  const script = 'for way do cd "$way" || { printf %s "$way" >&3; exit 1; }; done';
  const ways = ancestors(resolve(path)).filter((way) => existsSync(way));
  const args = ['-c', `{ ${script}; } 3>&1 >/dev/null 2>&1`, 'sh', ...ways];
  try {
    await promisify(execFile)('/bin/sh', args, { cwd: '/', ...user });
    return undefined;
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    if (!stdout) throw error;
    return stdout;
  }
}

/** From the root down to the path itself. */
function ancestors(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...ancestors(parent), path];
}
