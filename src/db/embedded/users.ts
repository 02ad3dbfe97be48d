import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

// The users of a directory of the embedded PostgreSQL, and the lock under which its server starts and stops.

const LOCK_TIMEOUT_MS = 120_000;
const POLL_MS = 20;

/** Creates the file that registers this process as a user. Its name and its text begin with the process's identity. */
export async function registerUse(directory: string): Promise<string> {
  const identity = identityOf(process.pid) ?? '';
  const file = join(directory, 'users', `${identity}.${randomUUID()}`);
  await writeFile(file, identity);
  return file;
}

export async function hasUsers(directory: string): Promise<boolean> {
  const users = join(directory, 'users');
  const files = await readdir(users);
  const dead = files.filter((file) => !isAlive(file.slice(0, file.lastIndexOf('.'))));
  await Promise.all(dead.map((file) => rm(join(users, file), { force: true })));
  return files.length > dead.length;
}

/** Returns the process id and, on Linux, its start time, because process ids are reused. */
export function identityOf(pid: number): string | undefined {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return undefined;
  }
  // proc_pid_stat(5): the state is field 3, the first after the name in parentheses; the start is field 22.
  const fields = readIfAny(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, '')
    .split(' ');
  if (fields?.[0] === 'Z') return undefined;
  return fields ? `${pid}-${fields[19]}` : String(pid);
}

function isAlive(identity: string): boolean {
  return identity !== '' && identityOf(Number.parseInt(identity, 10)) === identity;
}

/**
 * Runs `work` while no other process runs its work on the directory. A process gets the lock by creating the next
 * `lock.N`, after the holder of the highest one is dead or has emptied its file. The highest file is never deleted:
 * if a killed holder's file were deleted, two processes could both delete it and both get the lock.
 */
export async function exclusively<T>(
  directory: string,
  use: string,
  work: () => Promise<T>,
): Promise<T> {
  const lock = await takeLock(directory, use);
  try {
    return await work();
  } finally {
    await writeFile(lock, '');
  }
}

async function takeLock(directory: string, use: string): Promise<string> {
  const lock = (n: number) => join(directory, `lock.${n}`);
  const deadline = Date.now() + LOCK_TIMEOUT_MS;
  while (Date.now() < deadline) {
    const [highest = 0] = await lockNumbers(directory);
    if (isAlive(readIfAny(lock(highest)) ?? '')) {
      await sleep(POLL_MS);
    } else if (await linkUnlessTaken(use, lock(highest + 1))) {
      const [last, ...former] = await lockNumbers(directory);
      if (last === highest + 1) {
        await Promise.all(former.map((n) => rm(lock(n), { force: true })));
        return lock(last);
      }
      // The number had been used and deleted since we looked.
      await rm(lock(highest + 1), { force: true });
    }
  }
  throw new Error(
    `${directory} has been locked by another process for ${LOCK_TIMEOUT_MS / 1000} s`,
  );
}

async function lockNumbers(directory: string): Promise<number[]> {
  const names = await readdir(directory);
  const numbers = names.map((name) => Number(/^lock\.(\d+)$/.exec(name)?.[1] ?? 0));
  return numbers.filter((n) => n > 0).sort((a, b) => b - a);
}

async function linkUnlessTaken(existing: string, path: string): Promise<boolean> {
  try {
    await link(existing, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Reads a file; undefined if it does not exist. */
export function readIfAny(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}
