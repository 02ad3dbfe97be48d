import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { built } from '../support/built.js';

beforeAll(() => built());

const SIGNALS = new URL('../../dist/process/signals.js', import.meta.url).href;

/** Blocks for half a second at the first signal, and ends long afterwards. */
const PROGRAM = `
  const { onSignal } = await import(${JSON.stringify(SIGNALS)});
  const wait = new Int32Array(new SharedArrayBuffer(4));
  onSignal(() => {
    console.log('heard');
    Atomics.wait(wait, 0, 0, 500);
    setTimeout(() => process.exit(0), 2500);
  });
  setInterval(() => {}, 1000);
  console.log('ready');`;

it.each([
  [50, 'counts as the first one if it is read late', [0, null]],
  [1000, 'ends the process', [null, 'SIGINT']],
])(
  'a second signal %i ms after the first %s',
  async (ms, _what, outcome) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM]);
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    await once(child.stdout, 'data');
    await sleep(ms);
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual(outcome);
  },
  20_000,
);
