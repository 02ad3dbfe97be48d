import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '..');
const GUIDE = path.join(ROOT, 'docs/database/overview.md');

/** One step of the guide: what its comment says to do with the code block behind it. */
interface Step {
  action: string;
  target: string;
  code: string;
}

let copy: string;
beforeAll(() => {
  // Below the repository, so that the server of the tests and the tools find node_modules.
  mkdirSync(path.join(ROOT, '.data'), { recursive: true });
  copy = mkdtempSync(path.join(ROOT, '.data/guide-'));
  const parts = [
    'src',
    'scripts',
    'test/support',
    'package.json',
    '.swcrc',
    'tsconfig.json',
    'tsconfig.build.json',
    'drizzle.config.ts',
    'jest.config.js',
  ];
  for (const part of parts)
    cpSync(path.join(ROOT, part), path.join(copy, part), { recursive: true });
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'));
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

const steps = readSteps(readFileSync(GUIDE, 'utf8'));

it('adds an entity by what the guide says, and its test passes', () => {
  for (const step of steps) perform(step);
  run('npm run -s build');
  run('npm run -s typecheck');
  const output = run('npm run -s test:built -- --json test/skills.e2e-spec.ts');
  expect(JSON.parse(output.slice(output.indexOf('{')))).toMatchObject({
    numPassedTests: 2,
    numFailedTests: 0,
  });
}, 180_000);

it('needs at most 6 new files, 300 lines and 2 edits', () => {
  const written = steps.filter(({ action }) => action === 'write');
  const edited = steps.filter(({ action }) => action === 'append' || action === 'add');
  const lines = [...written, ...edited].flatMap(({ code }) => code.split('\n'));
  expect(written.length).toBeLessThanOrEqual(6);
  expect(edited.length).toBeLessThanOrEqual(2);
  expect(lines.length).toBeLessThanOrEqual(300);
});

/** What a comment of the guide says to do, with the code block that follows it, if any. */
function readSteps(guide: string): Step[] {
  const step = /^<!-- (append|write|run|add) ?(.*?) -->\n(?:\n+```\w+\n([\s\S]*?)^```$)?/gm;
  return [...guide.matchAll(step)].map(([, action, target, code = '']) => ({
    action: action!,
    target: target!,
    code,
  }));
}

/** Does a step, unless it was done already: by a developer who has followed the guide for real. */
function perform({ action, target, code }: Step): void {
  if (action === 'run') return code.trim().split('\n').forEach(run);
  if (action === 'add') return addToList(target);
  const file = path.join(copy, target);
  mkdirSync(path.dirname(file), { recursive: true });
  if (action === 'write') return writeFileSync(file, code);
  const isDone = readFileSync(file, 'utf8').includes(code.trim());
  if (!isDone) appendFileSync(file, `\n${code}`);
}

/** `FILE `LIST` NAME from 'MODULE'`: puts a name into a list of the file and imports it. */
function addToList(target: string): void {
  const [, file, list, name, module] = /^(\S+) `(\w+)` (\w+) from '(.+)'$/.exec(target)!;
  const full = path.join(copy, file!);
  const text = readFileSync(full, 'utf8');
  if (text.includes(name!)) return;
  const declaration = new RegExp(`(const ${list} = \\[[^\\]]*?),?\\s*\\]`);
  expect(text).toMatch(declaration);
  const added = text.replace(declaration, `$1, ${name}]`);
  writeFileSync(full, `import { ${name} } from '${module}';\n${added}`);
}

/** Without this run's own settings, as in a terminal. Throws with all that the command has printed. */
function run(command: string): string {
  const { PATH, HOME } = process.env;
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
    cwd: copy,
    env: { PATH, HOME },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${command}\n${stdout}${stderr}`);
  return stdout;
}
