// npm run start:dev: serves from dist/, and rebuilds and restarts the service after a change in src/. If the build
// fails, it prints the message and the running service continues.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, watch } from 'node:fs';
import path from 'node:path';

/** The wait for further changes, because an editor may save several files one after the other. */
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

/** Returns the hash of the inputs of dist/, so that saving an unchanged file does not restart the service. */
function built() {
  return JSON.parse(readFileSync('dist/.build.json', 'utf8')).code.inputs;
}
