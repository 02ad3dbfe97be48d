import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const MEMORY = '/dev/shm';
const TMPFS = 0x01021994; // https://man7.org/linux/man-pages/man2/statfs.2.html
const NEEDED_BYTES = 6 * 1024 ** 3; // a whole run needed up to 2.7 GiB

/**
 * Makes a folder in memory the temporary folder of this run, if there is enough memory and nobody has set TMPDIR.
 * Returns a function that removes it. The databases of a run are many thousand files that live for seconds. After
 * deletions ext4 looks for a free inode among all that were deleted in the last minute, which took a quarter of the
 * processor time of the whole suite (https://elixir.bootlin.com/linux/v6.18/source/fs/ext4/ialloc.c, recently_deleted).
 */
export function useMemoryFolder() {
  if (process.env.TMPDIR || !hasMemory()) return () => {};
  const folder = mkdtempSync(path.join(MEMORY, 'projects-service-tests-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  chmodSync(folder, 0o777); // the servers of root run as another user
  if (!canExecute(folder)) {
    remove();
    return () => {};
  }
  process.env.TMPDIR = folder;
  return () => {
    delete process.env.TMPDIR;
    remove();
  };
}

function hasMemory() {
  try {
    const { type, bavail, bsize } = statfsSync(MEMORY);
    return type === TMPFS && Math.min(bavail * bsize, process.availableMemory()) > NEEDED_BYTES;
  } catch {
    return false;
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
