import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Longer than any build. A lock older than this is stale, because process ids are reused. */
const STALE_AFTER_MS = 300_000;

/** Waits until no other process holds the lock, then holds it until this process ends. A killed holder does not count. */
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

/** Creates the lock as a link, which appears together with its content: no process can read an empty lock. */
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
    return error.code === 'ESRCH'; // EPERM: a live process of another user; ENOENT: just released
  }
}
