import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

export const ROOT = path.resolve(import.meta.dirname, '../..');

const PARTS = [
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

/** A copy of the repository that a test may change and run. */
export interface Copy {
  folder: string;
  /** Writes a file, or changes it with a function. */
  write(file: string, text: string | ((before: string) => string)): void;
  /**
   * Runs a command without the settings of this test run, as in a terminal. Throws an error with its complete output.
   */
  run(command: string): string;
  /** Returns the files of src that differ from those of the repository, without the generated migrations. */
  changedSources(): string[];
  remove(): void;
}

/** Returns a change that adds lines after a text that occurs once. */
export const insertAfter = (mark: string, added: string) => (text: string) => {
  expect(text.split(mark)).toHaveLength(2);
  return text.replace(mark, () => `${mark}\n${added}`);
};

/** Returns the message of the error that `work` throws; empty if it throws none. */
export function errorsOf(work: () => unknown): string {
  try {
    work();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

export function copyRepository(): Copy {
  // The copy is inside the repository, so that the test server and the tools find node_modules.
  mkdirSync(path.join(ROOT, '.data'), { recursive: true });
  const folder = mkdtempSync(path.join(ROOT, '.data/copy-'));
  for (const part of PARTS) {
    cpSync(path.join(ROOT, part), path.join(folder, part), { recursive: true });
  }
  mkdirSync(path.join(folder, '.build'));
  for (const shared of ['node_modules', '.build/node_modules'])
    symlinkSync(path.join(ROOT, shared), path.join(folder, shared));
  return {
    folder,
    write: (file, text) => {
      const full = path.join(folder, file);
      mkdirSync(path.dirname(full), { recursive: true });
      writeFileSync(full, typeof text === 'string' ? text : text(readFileSync(full, 'utf8')));
    },
    run: (command) => {
      const { PATH, HOME } = process.env;
      const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
        cwd: folder,
        env: { PATH, HOME },
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`${command}\n${stdout}${stderr}`);
      return stdout;
    },
    changedSources: () => {
      const files = readdirSync(path.join(folder, 'src'), { recursive: true, encoding: 'utf8' });
      const contentIn = (root: string, file: string) =>
        statSync(path.join(root, 'src', file), { throwIfNoEntry: false })?.isFile()
          ? readFileSync(path.join(root, 'src', file), 'utf8')
          : undefined;
      return files
        .filter((file) => !file.startsWith('db/migrations'))
        .filter((file) => contentIn(folder, file) !== contentIn(ROOT, file))
        .sort();
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
