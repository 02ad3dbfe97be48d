// npm run start:dev: serves from dist/, and after a change in src/ builds and starts the service again. When the build
// fails, its message is shown and the last service goes on.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, watch } from 'node:fs';
import path from 'node:path';

/** An editor that saves several files makes several changes. */
const SETTLE_MS = 100;

process.chdir(path.resolve(import.meta.dirname, '..'));
if (!build()) process.exit(1);
const { onSignal } = await import('../dist/process/signals.js');
let service = start();
let last = built();
let restarting = Promise.resolve();
let settled;
watch('src', { recursive: true }, () => {
  clearTimeout(settled);
  settled = setTimeout(() => (restarting = restarting.then(restart)), SETTLE_MS);
});
onSignal(stop, { endWithParent: true });

async function restart() {
  if (!build() || built() === last) return;
  last = built();
  await end('SIGTERM');
  service = start();
}

async function stop(signal) {
  await end(signal);
  process.exit(0);
}

async function end(signal) {
  if (service.exitCode !== null || service.signalCode !== null) return;
  service.kill(signal);
  await once(service, 'exit');
}

function start() {
  return spawn(process.execPath, ['dist/main.js'], { stdio: 'inherit' });
}

function build() {
  return spawnSync(process.execPath, ['scripts/build.js'], { stdio: 'inherit' }).status === 0;
}

/** What dist/ was built from: saving a file without a change starts nothing again. */
function built() {
  return JSON.parse(readFileSync('dist/.build.json', 'utf8')).code.inputs;
}
