import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

const MEMORY = '/dev/shm';
const NAME = 'projects-service-tests-';
const TMPFS = 0x01021994; // https://man7.org/linux/man-pages/man2/statfs.2.html
const NEEDED_BYTES = 6 * 1024 ** 3; // a whole run needed up to 2.7 GiB

/**
 * Makes a folder in memory the temporary folder of this run, if there is enough memory and nobody has set TMPDIR.
 * Returns a function that removes it. The databases of a run are many thousand files that live for seconds. After
 * deletions ext4 looks for a free inode among all that were deleted in the last minute, which took a quarter of the
 * processor time of the whole suite (https://elixir.bootlin.com/linux/v6.18/source/fs/ext4/ialloc.c, recently_deleted).
 */
export function useMemoryFolder() {
  const folder = process.env.TMPDIR ? undefined : memoryFolder();
  if (folder === undefined) return () => {};
  process.env.TMPDIR = folder;
  return () => {
    delete process.env.TMPDIR;
    remove(folder);
  };
}

/** Creates the folder. Returns undefined if there is too little memory, or if no program can run from it. */
function memoryFolder() {
  try {
    removeLeft();
    const { type, bavail, bsize } = statfsSync(MEMORY);
    const free = Math.min(bavail * bsize, process.availableMemory());
    if (type !== TMPFS || free < NEEDED_BYTES) return undefined;
    const folder = mkdtempSync(path.join(MEMORY, `${NAME}${process.pid}-`));
    chmodSync(folder, 0o1777); // as /tmp: the servers of root run as another user
    if (canExecute(folder)) return folder;
    remove(folder);
  } catch (error) {
    if (!error.syscall) throw error;
  }
  return undefined;
}

/** Removes the folders of this user's killed runs. */
function removeLeft() {
  for (const name of readdirSync(MEMORY).filter((name) => name.startsWith(NAME))) {
    const folder = path.join(MEMORY, name);
    const pid = name.slice(NAME.length).split('-', 1)[0];
    const isOwn = statSync(folder).uid === process.getuid();
    if (isOwn && !existsSync(`/proc/${pid}`)) remove(folder);
  }
}

/** False if the folder is mounted with noexec, as by Docker. */
function canExecute(folder) {
  const script = path.join(folder, 'probe');
  writeFileSync(script, '#!/bin/sh\n', { mode: 0o755 });
  try {
    execFileSync(script);
    return true;
  } catch {
    return false;
  }
}

function remove(folder) {
  rmSync(folder, { recursive: true, force: true });
}
