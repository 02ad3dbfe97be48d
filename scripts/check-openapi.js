// node scripts/check-openapi.js: fails if docs/openapi.json breaks clients of the last release, whose document is
// docs/openapi.released.json, unless a commit since then has the trailer `Breaking: yes`. `npm run openapi:release`
// copies the current document to the released one.
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { breakingChanges } from './openapi-changes.js';

process.chdir(path.resolve(import.meta.dirname, '..'));

const RELEASED = 'docs/openapi.released.json';
const CURRENT = 'docs/openapi.json';
const read = (file) => JSON.parse(readFileSync(file, 'utf8'));

if (process.argv.includes('--release')) copyFileSync(CURRENT, RELEASED);
else check(breakingChanges(read(RELEASED), read(CURRENT)));

function check(found) {
  if (found.length === 0) return;
  const lines = found.map((change) => `  - ${change}\n`).join('');
  console.error(`Breaking changes since the last release:\n${lines}`);
  if (isIntended())
    return console.error('They are intended: a commit has the trailer `Breaking: yes`.');
  console.error('Make the change additive, or add the trailer `Breaking: yes` to the commit.');
  process.exitCode = 1;
}

function isIntended() {
  const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).trim();
  const released = git('log', '-1', '--format=%H', '--', RELEASED);
  const since = released === '' ? [] : [`${released}..HEAD`];
  const trailers = git('log', '--format=%(trailers:key=Breaking,valueonly)', ...since);
  return trailers.split('\n').some((value) => value.trim().toLowerCase() === 'yes');
}
