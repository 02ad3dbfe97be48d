import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

export interface PlainRun {
  /** The process's exit code; null if it was killed. */
  code: number | null;
  output: string;
}

/**
 * Runs a script with the published postgres.js in a separate process, because some scripts end it. The script has the
 * variables `postgres` and `url` and prints its results. It is killed after a hundred seconds.
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
