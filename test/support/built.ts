import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

export const ROOT = path.resolve(import.meta.dirname, '../..');

const builds = new Map<string, Promise<unknown>>();

/** Updates dist/ for tests that run the build. With `--declarations` it also contains the types. */
export async function built(...options: '--declarations'[]): Promise<void> {
  const key = options.join();
  if (!builds.has(key)) builds.set(key, run(process.execPath, ['scripts/build.js', ...options]));
  await builds.get(key);
}

function run(program: string, args: string[]): Promise<unknown> {
  return promisify(execFile)(program, args, { cwd: ROOT });
}
