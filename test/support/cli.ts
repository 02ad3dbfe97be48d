import { spawn, spawnSync } from 'node:child_process';
import { Readable, Writable } from 'node:stream';
import { runCommand } from '../../src/cli/program.js';

/** For tests that need a process: tests of signals, pipes and terminals, and of the built program itself. */
export const MAIN = 'dist/cli/main.js';

export interface CommandResult {
  status: number;
  stdout: string;
  stderr: string;
}

interface Given {
  /** The process gets only these variables. */
  variables: Record<string, string>;
  input?: string | Readable;
}

/** Runs a command in this process. */
export async function runCli(
  words: string[],
  { variables, input = '' }: Given,
): Promise<CommandResult> {
  const [output, errors] = [collector(), collector()];
  const status = await runCommand(words, {
    streams: {
      input: typeof input === 'string' ? Readable.from([Buffer.from(input)]) : input,
      output: output.stream,
      errors: errors.stream,
    },
    onInterrupt: () => undefined,
    variables,
  });
  return { status, stdout: output.text(), stderr: errors.text() };
}

/** Runs the built command as a process. */
export function spawnCli(words: string[], { variables, input = '' }: Given): CommandResult {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], {
    env: { PATH: process.env.PATH, ...variables },
    encoding: 'utf8',
    input: input as string,
  });
  return { status: status!, stdout, stderr };
}

/** Starts the built command as a process. */
export function startCli(words: string[], variables: Record<string, string>) {
  return spawn(process.execPath, [MAIN, ...words], {
    env: { PATH: process.env.PATH, ...variables },
  });
}

/** A stream that collects what is written to it. */
export function collector() {
  let written = '';
  const decoder = new TextDecoder();
  const stream = new Writable({
    write: (part: Buffer, _encoding, done) => {
      written += decoder.decode(part, { stream: true });
      done();
    },
  });
  return { stream, text: () => written };
}
