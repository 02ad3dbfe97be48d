import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Longer than any build takes: process numbers are given out again. */
const STALE_AFTER_MS = 300_000;

/** Waits until no other process holds the lock, then holds it to the end of this one. A killed holder does not count. */
export async function takeLock(file) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const own = `${file}.${process.pid}`;
  fs.writeFileSync(own, String(process.pid));
  try {
    while (!linked(own, file)) {
      if (isStale(file)) fs.rmSync(file, { force: true });
      else await sleep(50);
    }
  } finally {
    fs.rmSync(own);
  }
  process.on('exit', () => fs.rmSync(file, { force: true }));
}

/** A link appears with its content: no one reads a lock that does not yet say whose it is. */
function linked(own, file) {
  try {
    fs.linkSync(own, file);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

function isStale(file) {
  try {
    if (Date.now() - fs.statSync(file).mtimeMs > STALE_AFTER_MS) return true;
    process.kill(Number(fs.readFileSync(file, 'utf8')), 0);
    return false;
  } catch (error) {
    return error.code === 'ESRCH'; // EPERM: another user's, alive; ENOENT: just released
  }
}
