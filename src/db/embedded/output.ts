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
    const text = `${basename(program)} failed: ${stderr?.trim() || message}`;
    // By its name: this folder imports nothing of the service, so that it works alone.
    throw Object.assign(new Error(text, { cause }), { name: 'ExplainedError' });
  }
}
