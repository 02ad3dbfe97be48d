import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

export interface PlainRun {
  /** The process's exit code; null when it had to be killed. */
  code: number | null;
  output: string;
}

/**
 * Runs a script on the published postgres.js, in a process of its own since some of them end it.
 * The script finds `postgres` and `url` and prints what it saw. Killed after a hundred seconds.
 */
export async function runOnPlainDriver(
  url: string,
  script: string,
  onOutput: (output: string) => void = () => {},
): Promise<PlainRun> {
  const source = `import postgres from 'postgres'; const { url } = process.env; ${script}; process.exit(0)`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    cwd: path.resolve(import.meta.dirname, '../..'),
    env: { PATH: process.env.PATH, url },
    timeout: 100_000,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => onOutput((output += chunk.toString())));
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}
