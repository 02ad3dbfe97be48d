import { execFile } from 'node:child_process';
import { basename } from 'node:path';
import { promisify } from 'node:util';
import { explainedError } from './explained-error.js';

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
    const text = `${basename(program)} failed: ${stderr?.trim() || message}`;
    throw explainedError(text, cause);
  }
}
