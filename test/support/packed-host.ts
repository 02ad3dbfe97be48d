import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { built, ROOT } from './built.js';
import { createEmptyDatabase, type TestDatabase } from './database.js';

const run = promisify(execFile);
const TSC = path.join(ROOT, 'node_modules/typescript7/bin/tsc');

/** A folder in which the packed package is installed, as a host application has it. */
export interface PackedHost {
  folder: string;
  /** Writes a file, or an object as JSON. */
  write(name: string, content: string | object): Promise<void>;
  /** Runs Node in the folder. */
  node(...args: string[]): Promise<{ stdout: string; stderr: string }>;
  /** Runs commands in a subfolder, as a user types them. */
  shell(commands: string, subfolder: string): Promise<void>;
  /** Compiles a project; resolves with the errors of the compiler. */
  compile(project: string): Promise<string>;
  /** Links packages of this repository into a subfolder, which only the development of a host needs. */
  linkTools(subfolder: string, names: string[]): Promise<void>;
  /** Runs a compiled application on an empty database. Its first output is its URL. */
  start(file: string, options?: { cwd?: string; env?: object }): Promise<RunningHost>;
  /** Ends its applications and removes the folder. */
  remove(): Promise<void>;
}

export interface RunningHost {
  url: string;
  database: TestDatabase;
  process: ChildProcess;
  /** Returns the next output; its errors if it has ended. */
  nextLine(): Promise<string>;
}

/** Packs the package and installs it. */
export async function packHost(): Promise<PackedHost> {
  await built('--declarations');
  const folder = await mkdtemp(path.join(tmpdir(), 'host application '));
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: ROOT });
  const [tarball] = await readdir(folder);
  const hosts: RunningHost[] = [];
  const write = async (name: string, content: string | object) => {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  };
  const dependencies = { 'projects-service': `file:${tarball}` };
  await write('package.json', { private: true, type: 'module', dependencies });
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: folder });
  return {
    folder,
    write,
    node: (...args) => run(process.execPath, args, { cwd: folder }),
    shell: async (commands, subfolder) => {
      const cwd = path.join(folder, subfolder);
      await run('sh', ['-ec', commands], { cwd, env: withoutNpm() });
    },
    compile: (project) =>
      run(process.execPath, [TSC, '-p', project], { cwd: folder }).then(
        ({ stdout }) => stdout,
        (error: { stdout: string }) => error.stdout,
      ),
    linkTools: async (subfolder, names) => {
      for (const name of names) {
        const place = path.join(folder, subfolder, 'node_modules', name);
        await mkdir(path.dirname(place), { recursive: true });
        await symlink(path.join(ROOT, 'node_modules', name), place);
      }
    },
    start: async (file, options) => {
      const host = await start(path.join(folder, file), { cwd: folder, ...options });
      hosts.push(host);
      host.url = await host.nextLine();
      expect(host.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
      return host;
    },
    remove: async () => {
      for (const host of hosts) {
        host.process.kill('SIGKILL');
        await host.database.drop();
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Returns the environment without the settings of the npm or npx that runs these tests, which a nested one would take. */
function withoutNpm(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
}

async function start(file: string, options: { cwd: string; env?: object }): Promise<RunningHost> {
  const database = await createEmptyDatabase();
  const child = spawn(process.execPath, [file], {
    cwd: options.cwd,
    env: { ...process.env, DATABASE_URL: database.url, PORT: '0', ...options.env },
  });
  const errors = text(child.stderr);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const nextLine = async () => {
    const { done, value } = await lines.next();
    return done ? await errors : value;
  };
  return { url: '', database, process: child, nextLine };
}

/** The options of a host's compiler. */
export const COMPILER_OPTIONS = {
  module: 'nodenext',
  target: 'es2023',
  strict: true,
  skipLibCheck: true,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
};
