import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const SHIFT = '      const out = xs[index++]\n';
const SCAN = 'const index = xs.indexOf(x)';

/**
 * Copies postgres.js into `directory` with a corrected queue, and returns the URL of the copy. The published queue
 * keeps every slot that was ever used until it is empty, which never happens in a pool, and searches all of them at
 * every query. A limit that becomes slower by itself would not be a limit.
 */
export function correctedPostgresJs(directory) {
  const published = path.dirname(path.dirname(fileURLToPath(import.meta.resolve('postgres'))));
  cpSync(published, directory, { recursive: true });
  const file = path.join(directory, 'src/queue.js');
  const source = readFileSync(file, 'utf8');
  const corrected = source
    .replace(SHIFT, `      if (index > 64) (xs = xs.slice(index), index = 0)\n${SHIFT}`)
    .replace(SCAN, 'const at = xs.indexOf(x, index)')
    .replace('return index === -1', 'return at === -1')
    .replace('xs.splice(index, 1)', 'xs.splice(at, 1)');
  if (corrected.length - source.length < 50) throw new Error('postgres.js has another queue now.');
  writeFileSync(file, corrected);
  return pathToFileURL(path.join(directory, 'src/index.js')).href;
}
