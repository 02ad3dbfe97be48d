import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';

/** Runs a program and resolves with its standard output; rejects with the text that it wrote to standard error. */
export async function output(
  program: string,
  args: string[],
  options: object = {},
): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { ...options, encoding: 'utf8' });
    return stdout;
  } catch (cause) {
    const { stderr, message } = cause as Error & { stderr?: string };
    throw new Error(`${basename(program)} failed: ${stderr?.trim() || message}`, { cause });
  }
}
