import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { ROOT } from '../support/built.js';

/** Creates a copy of the build, with sources of a few lines. */
let copy: string;
beforeEach(() => {
  mkdirSync(path.join(ROOT, '.data'), { recursive: true });
  copy = mkdtempSync(path.join(ROOT, '.data/build-'));
  for (const part of ['scripts', '.swcrc', 'package.json', 'tsconfig.json', 'tsconfig.build.json'])
    cpSync(path.join(ROOT, part), path.join(copy, part), { recursive: true });
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'));
  source('one.ts', 'export const one: number = 1;\n');
  source('two.ts', `export { one } from './one.js';\nexport const size = ${LARGE}.length;\n`);
  source('db/0000.sql', 'select 1;\n');
  source('main.ts', "import { one } from './one.js';\nconsole.log(one);\n");
  source('cli/main.ts', "import { one } from '../one.js';\nconsole.log(one + 1);\n");
  source('cli/openapi.ts', 'export {};\n');
});
afterEach(() => rmSync(copy, { recursive: true, force: true }));

/** A string that needs more than one write to the disk. */
const LARGE = `'${'x'.repeat(300_000)}'`;

it('the build compiles sources and copies the other files, and does nothing when nothing has changed', async () => {
  await build();
  expect(dist('one.js')).toContain('export const one = 1;');
  expect(JSON.parse(dist('one.js.map'))).toMatchObject({ mappings: expect.stringMatching(/./) });
  expect(dist('db/0000.sql')).toBe('select 1;\n');
  expect(existsSync(path.join(copy, 'dist/one.d.ts'))).toBe(false);

  const before = statSync(path.join(copy, 'dist/one.js')).mtimeMs;
  source('one.ts', 'export const one: number = 1;\n');
  await build();
  expect(statSync(path.join(copy, 'dist/one.js')).mtimeMs).toBe(before);
  rmSync(path.join(copy, 'dist/one.js'));
  await build();
  expect(dist('one.js')).toContain('export const one = 1;');
});

it('the build bundles the programs, with the paths of their modules and stack traces of the sources', async () => {
  source('db/here.ts', 'export const here: string = import.meta.url;\n');
  source('fail.ts', 'interface Unused {}\n\nexport function fail() {\n  throw new Error();\n}\n');
  source(
    'cli/main.ts',
    `import { here } from '../db/here.js';\nimport { fail } from '../fail.js';\nconsole.log(here);\nfail();\n`,
  );
  await build();
  for (const module of ['one.js', 'fail.js', 'db/here.js']) rmSync(path.join(copy, 'dist', module));
  expect((await run('dist/main.js')).stdout).toBe('1\n');

  const failed = await run('dist/cli/main.js').catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  expect(failed.stdout).toBe(`${pathToFileURL(path.join(copy, 'dist/db/here.js')).href}\n`);
  expect(failed.stderr).toContain(`at fail (${path.join(copy, 'src/fail.ts')}:4:`);
});

it('classes keep their names in a bundle, and functions are not named each time that one is made', async () => {
  source(
    'thing.ts',
    'export class Thing {}\nexport function made() {\n  return [() => 1, function two() {}];\n}\n',
  );
  source('other.ts', 'export class Thing {}\nexport const made = () => [class Made {}];\n');
  source(
    'main.ts',
    `import { made, Thing } from './thing.js';
import * as other from './other.js';
console.log(Thing.name, other.Thing.name, made.name, made()[1].name, other.made()[0].name);
`,
  );
  await build();
  expect((await run('dist/main.js')).stdout).toBe('Thing Thing made two Made\n');
  expect(dist('bundle/service.js')).not.toContain('__name(');
});

it('the build writes type declarations on request, and refuses type errors', async () => {
  await build('--declarations');
  expect(dist('one.d.ts')).toBe('export declare const one: number;\n');

  source('one.ts', "export const one: number = 'text';\n");
  const failed = await failure('--declarations');
  expect(failed).toMatchObject({ code: 1, stdout: expect.stringContaining('TS2322') });
  expect(dist('one.js')).toContain('export const one = 1;');
});

it('the build reports the place of a syntax error, and keeps the previous output', async () => {
  await build();
  source('one.ts', 'export const one = = 1;\n');
  const failed = await failure();
  expect(failed).toMatchObject({ code: 1, stderr: expect.stringContaining('one.ts') });
  expect(failed.stderr).not.toContain('    at ');
  expect(dist('one.js')).toContain('export const one = 1;');
});

it('the build says what to do if it cannot write its files, without a stack', async () => {
  writeFileSync(path.join(copy, '.build'), '');
  const failed = await failure();
  expect(failed).toMatchObject({ code: 1 });
  expect(failed.stderr).toMatch(
    /^The build cannot write its files \(EEXIST: .*'\.build'\)\. If another user .* make the directories yours: sudo chown -R .* dist \.build\n$/,
  );
});

it('the build never removes a file that a running process uses', async () => {
  await build();
  const paths = ['one.js', 'two.js', 'db/0000.sql'];
  const whole = (file: string) => dist(file).trimEnd().split('\n').at(-1);
  const ends = paths.map(whole);
  rmSync(path.join(copy, 'src/one.ts'));
  for (const program of ['main.ts', 'cli/main.ts']) source(program, 'console.log(2);\n');
  source('two.ts', `export const size = ${LARGE}.length + 1;\n`);
  source('db/0000.sql', 'select 1;\n');
  const child = spawn(process.execPath, ['scripts/build.js'], { cwd: copy });
  const ended = once(child, 'exit');
  let looks = 0;
  while (child.exitCode === null) {
    expect(paths.map(whole)).toEqual(ends);
    looks++;
    await new Promise(setImmediate);
  }
  expect(await ended).toEqual([0, null]);
  expect(looks).toBeGreaterThan(10);
  expect(dist('two.js')).toContain('length + 1');

  source('db/0000.sql', 'select 2;\n');
  await build();
  expect(existsSync(path.join(copy, 'dist/one.js'))).toBe(false);
});

it('the build runs once for concurrent processes, whatever files a killed process left', async () => {
  const killed = spawn(process.execPath, ['-e', '']);
  await once(killed, 'exit');
  mkdirSync(path.join(copy, '.build'));
  writeFileSync(path.join(copy, '.build/lock'), String(killed.pid));
  mkdirSync(path.join(copy, 'dist'));
  writeFileSync(path.join(copy, 'dist/one.js.99999'), 'half');
  await Promise.all([build(), build(), build()]);
  expect(dist('one.js')).toContain('export const one = 1;');
  expect(existsSync(path.join(copy, 'dist/one.js.99999'))).toBe(false);
  expect(existsSync(path.join(copy, '.build/lock'))).toBe(false);
});

function source(file: string, content: string): void {
  const full = path.join(copy, 'src', file);
  mkdirSync(path.dirname(full), { recursive: true });
  writeFileSync(full, content);
}

function dist(file: string): string {
  return readFileSync(path.join(copy, 'dist', file), 'utf8');
}

function build(...options: string[]) {
  return run('scripts/build.js', ...options);
}

function run(program: string, ...options: string[]) {
  return promisify(execFile)(process.execPath, [program, ...options], { cwd: copy });
}

async function failure(...options: string[]) {
  return await build(...options).then(
    () => ({ code: 0, stdout: '', stderr: '' }),
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
}
