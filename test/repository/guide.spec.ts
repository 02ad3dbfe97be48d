import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type Addition, COLUMN, FILTER } from '../support/additions.js';
import { type Copy, copyRepository, errorsOf } from '../support/copy.js';
import { readSteps, type Step } from '../support/guide.js';

const steps = readSteps('docs/database/overview.md');
const additions = [COLUMN, FILTER];

interface SpecResult {
  name: string;
  /** The failures of its tests, or of the file. */
  message: string;
  assertionResults: { status: string }[];
}

let copy: Copy;
/** The errors of the compiler after the first edit of each addition. */
let firstErrors: string[];
/** The files that the edits of all additions changed. */
let changed: string[];
/** The errors of the compiler after the guide. */
let lastErrors: string;
let results: SpecResult[];

// All additions share a copy, because a run of the compiler or of Jest takes many seconds of processor time.
beforeAll(() => {
  copy = copyRepository();
  for (const { edits } of additions) edit(edits.slice(0, 1));
  firstErrors = compile().split(/\n(?=\S)/);
  for (const { edits } of additions) edit(edits.slice(1));
  changed = copy.changedSources();
  copy.run('npm run -s db:generate -- --name homepage');
  for (const step of steps) perform(step);
  lastErrors = compile();
  for (const { spec } of additions) copy.write(spec.file, spec.text);
  results = runSpecs();
}, 300_000);
afterAll(() => copy.remove());

describe.each(additions)('$name: the value, the table and the DTO', ({ name, named, spec }) => {
  it('the compiler names the places that the first edit leaves incomplete', () => {
    for (const file of named) {
      const at = firstErrors.filter((error) => error.split('(', 1)[0]!.endsWith(`/${file}`));
      expect(at).toContainEqual(expect.stringContaining(name));
    }
  });

  it('it appears in every interface', () => {
    expect(resultOf(spec.file)).toEqual({ message: '', states: ['passed'] });
  });
});

it('a new column and a new filter each change three files, and no SQL function', () => {
  const files = additions.flatMap(({ edits }) => edits.map(({ file }) => file));
  expect(changed).toEqual(files.map((file) => file.replace('src/', '')).sort());
  expect(changed).toHaveLength(6);
});

it('the guide adds an entity, and the test of this entity passes', () => {
  expect(lastErrors).toBe('');
  expect(resultOf('test/skills/skills.e2e-spec.ts')).toEqual({
    message: '',
    states: ['passed', 'passed'],
  });
});

it('the guide needs at most 6 new files, 300 lines and 2 edits', () => {
  const written = steps.filter(({ action }) => action === 'write');
  const edited = steps.filter(({ action }) => action === 'append' || action === 'add');
  const lines = [...written, ...edited].flatMap(({ code }) => code.split('\n'));
  expect(written.length).toBeLessThanOrEqual(6);
  expect(edited.length).toBeLessThanOrEqual(2);
  expect(lines.length).toBeLessThanOrEqual(300);
});

function compile(): string {
  return errorsOf(() => copy.run('npm run -s typecheck'));
}

/** Runs all specs of the copy in one process. */
function runSpecs(): SpecResult[] {
  const options = '--runInBand --json --outputFile results.json';
  const failure = errorsOf(() => copy.run(`npm run -s test:built -- ${options}`));
  const file = path.join(copy.folder, 'results.json');
  if (!existsSync(file)) throw new Error(failure);
  return JSON.parse(readFileSync(file, 'utf8')).testResults;
}

function resultOf(spec: string) {
  const result = results.find(({ name }) => name === path.join(copy.folder, spec));
  return { message: result?.message, states: result?.assertionResults.map(({ status }) => status) };
}

function edit(edits: Addition['edits']): void {
  for (const { file, change } of edits) copy.write(file, change);
}

/** Executes a step, unless a developer who follows the guide has done it already. */
function perform({ action, target, code }: Step): void {
  if (action === 'run') for (const command of code.trim().split('\n')) copy.run(command);
  else if (action === 'add') addToList(target);
  else if (action === 'write') copy.write(target, code);
  else copy.write(target, (text) => (text.includes(code.trim()) ? text : `${text}\n${code}`));
}

/** `FILE `LIST` NAME from 'MODULE'`: adds a name to a list in the file and imports it. */
function addToList(target: string): void {
  const [, file, list, name, module] = /^(\S+) `(\w+)` (\w+) from '(.+)'$/.exec(target)!;
  copy.write(file!, (text) => {
    if (text.includes(name!)) return text;
    const declaration = new RegExp(`(const ${list} = \\[[^\\]]*?),?\\s*\\]`);
    expect(text).toMatch(declaration);
    const added = text.replace(declaration, `$1, ${name}]`);
    return `import { ${name} } from '${module}';\n${added}`;
  });
}
