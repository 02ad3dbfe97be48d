import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { built } from '../support/built.js';

beforeAll(() => built());

const SIGNALS = new URL('../../dist/process/signals.js', import.meta.url).href;
const RUN = new URL('../../dist/process/run.js', import.meta.url).href;

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

it('a start that fails after a signal closes what it has opened, and reports the failure', async () => {
  const program = `
    const { run } = await import(${JSON.stringify(RUN)});
    const options = { timeoutMs: 10_000, describe: ({ message }) => message };
    await run(options, async (onStop) => {
      onStop(() => new Promise((closed) => setTimeout(closed, 300)).then(() => console.log('closed')));
      const opening = setInterval(() => console.log('opened'), 100);
      await new Promise((heard) => process.once('SIGTERM', heard));
      clearInterval(opening);
      throw Object.assign(new Error('no port'), { exitCode: 3 });
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  expect(await ended).toEqual([
    expect.stringMatching(/^(opened\n)+closed\n$/),
    'no port\n',
    [3, null],
  ]);
}, 20_000);

it('a service whose log cannot be written continues, and stops as usual', async () => {
  const program = `
    const { run } = await import(${JSON.stringify(RUN)});
    await run({ timeoutMs: 10_000, describe: String }, async (onStop) => {
      const log = () => [process.stdout, process.stderr].map((stream) => stream.write('a line\\n'));
      const logging = setInterval(log, 20);
      onStop(() => clearInterval(logging));
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
  const ended = once(child, 'exit');
  await once(child.stderr, 'data');
  child.stdout.destroy();
  child.stderr.destroy();
  await sleep(500);
  expect(child.exitCode).toBeNull();
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
}, 20_000);
