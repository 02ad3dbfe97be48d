import { type Copy, copyRepository } from '../support/copy.js';
import { readSteps, type Step } from '../support/guide.js';

let copy: Copy;
beforeAll(() => {
  copy = copyRepository();
});
afterAll(() => copy.remove());

const steps = readSteps('docs/database/overview.md');

it('the guide adds an entity, and the test of this entity passes', () => {
  for (const step of steps) perform(step);
  copy.run('npm run -s typecheck');
  const output = copy.run('npm run -s test:built -- --json test/skills/skills.e2e-spec.ts');
  expect(JSON.parse(output.slice(output.indexOf('{')))).toMatchObject({
    numPassedTests: 2,
    numFailedTests: 0,
  });
}, 180_000);

it('the guide needs at most 6 new files, 300 lines and 2 edits', () => {
  const written = steps.filter(({ action }) => action === 'write');
  const edited = steps.filter(({ action }) => action === 'append' || action === 'add');
  const lines = [...written, ...edited].flatMap(({ code }) => code.split('\n'));
  expect(written.length).toBeLessThanOrEqual(6);
  expect(edited.length).toBeLessThanOrEqual(2);
  expect(lines.length).toBeLessThanOrEqual(300);
});

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
