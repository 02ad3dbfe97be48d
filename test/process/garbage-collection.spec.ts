import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { built, ROOT } from '../support/built.js';

beforeAll(() => built());

const MODULE = new URL('../../dist/process/garbage-collection.js', import.meta.url).href;

/** Keeps 5,000 new objects at any time, of 300 places in the code. V8 prints a line for each place that it judges. */
function judgementsOf(first: string): number {
  const program = `${first}
    const kept = [];
    for (let place = 0; place < 300; place++) {
      const make = new Function('n', 'return { list: [n], at: { n } };');
      for (let n = 0; n < 5000; n++) kept[n] = make(n);
    }`;
  const flags = ['--trace-pretenuring-statistics', '--input-type=module', '-e', program];
  const output = execFileSync(process.execPath, flags, { encoding: 'utf8' });
  return output.split('pretenuring').length - 1;
}

it('no object is allocated in the old generation, on this version of Node', () => {
  expect(judgementsOf('')).toBeGreaterThan(0);
  const setting = `(await import('${MODULE}')).allocateInYoungGeneration();`;
  expect(judgementsOf(setting)).toBe(0);
});

it('the service does so when it listens, so that its start does not compile the modules of Node', () => {
  const main = readFileSync(path.join(ROOT, 'src/main.ts'), 'utf8');
  expect(main).toMatch(/await listen\(app, environment\);\n\s+allocateInYoungGeneration\(\);/);
});
