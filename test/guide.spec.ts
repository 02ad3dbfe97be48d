import { execFileSync } from 'node:child_process';
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
    'tsconfig.json',
    'tsconfig.build.json',
    'nest-cli.json',
    'drizzle.config.ts',
    'jest.config.js',
  ];
  for (const part of parts)
    cpSync(path.join(ROOT, part), path.join(copy, part), { recursive: true });
  symlinkSync(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'));
});
afterAll(() => rmSync(copy, { recursive: true, force: true }));

it('adds an entity by doing what the guide says, and its test passes', () => {
  const steps = readSteps(readFileSync(GUIDE, 'utf8'));
  expect(steps.map(({ action, target }) => `${action} ${target}`)).toEqual([
    'append src/db/schema.ts',
    'write src/db/functions/teams_touch_row.sql',
    'run ',
    'write src/db/factories/teams.factory.ts',
    'write src/teams/dto/team.dto.ts',
    'write src/teams/teams.controller.ts',
    'write src/teams/teams.module.ts',
    'replace src/app.module.ts `const API = [ProjectsModule, TechnologiesModule];`',
    'prepend src/app.module.ts',
    'write test/teams.e2e-spec.ts',
  ]);
  for (const step of steps) perform(step);
  run('npm run -s build');
  const output = run('npm run -s test:built -- --json test/teams.e2e-spec.ts');
  expect(JSON.parse(output.slice(output.indexOf('{')))).toMatchObject({
    numPassedTests: 1,
    numFailedTests: 0,
  });
}, 120_000);

function readSteps(guide: string): Step[] {
  const step = /^<!-- (append|prepend|write|replace|run) ?(.*?) -->\n+```\w+\n([\s\S]*?)^```$/gm;
  return [...guide.matchAll(step)].map(([, action, target, code]) => ({
    action: action!,
    target: target!,
    code: code!,
  }));
}

function perform({ action, target, code }: Step): void {
  if (action === 'run')
    return code
      .trim()
      .split('\n')
      .forEach((command) => run(command));
  const [file, replaced] = target.split(/ `|`$/);
  const full = path.join(copy, file!);
  mkdirSync(path.dirname(full), { recursive: true });
  if (action === 'append') return appendFileSync(full, `\n${code}`);
  if (action === 'write') return writeFileSync(full, code);
  const before = readFileSync(full, 'utf8');
  if (action === 'prepend') return writeFileSync(full, code + before);
  expect(before).toContain(replaced);
  writeFileSync(full, before.replace(replaced!, code.trim()));
}

/** Without this run's own settings, as in a terminal. */
function run(command: string): string {
  const { PATH, HOME } = process.env;
  return execFileSync('sh', ['-c', command], {
    cwd: copy,
    env: { PATH, HOME },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
