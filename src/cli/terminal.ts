import { fstatSync, readFileSync, statSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';

/** An output that may be a terminal. */
export type Output = Writable & { isTTY?: boolean };

/** The input, output and error streams of a command: those of the process, or those of a test. */
export interface Streams {
  input: Readable;
  output: Output;
  errors: Output;
}

/** Control characters and bidirectional marks: a terminal interprets them instead of showing them. */
// eslint-disable-next-line no-control-regex -- this expression searches for them
const CONTROLS = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Replaces each character that a terminal would interpret by its escape, such as `\u001b`. */
export function visible(text: string): string {
  return text.replace(CONTROLS, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** Returns a function for the parts of a file that is printed on a terminal: it keeps line breaks and escapes other control characters. */
export function forTerminal(): (part: Buffer) => string {
  const decoder = new TextDecoder();
  return (part) =>
    decoder
      .decode(part, { stream: true })
      .split(/(\r?\n)/)
      .map((text, index) => (index % 2 === 1 ? text : visible(text)))
      .join('');
}

/** Prints lines. A line break inside a line is escaped, so that a value cannot look like a separate line. */
export function print(output: Writable, ...lines: string[]): void {
  for (const line of lines) output.write(`${visible(line)}\n`);
}

/**
 * Makes the process exit with 1, when it has finished, if standard output or standard error cannot be written, for
 * example because a pipe is closed.
 */
export function failWhenOutputFails(): void {
  let failure: Error | undefined;
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: Error) => {
      failure ??= error;
    });
  }
  process.on('exit', () => {
    if (!failure || process.exitCode) return; // a command that failed has printed its error
    print(process.stderr, outputFailure(failure));
    process.exitCode = 1;
  });
}

/** Returns the message for an output that could not be written. */
export function outputFailure({ code, message }: NodeJS.ErrnoException): string {
  return code === 'EPIPE' ? 'The program that reads the output has ended.' : message;
}

/**
 * True if this process was started without a standard output (`>&-`). Node opens /dev/null instead, for reading
 * and writing, while `> /dev/null` opens it only for writing. This can be detected only on Linux.
 */
export function isOutputClosed(): boolean {
  try {
    const flags = /^flags:\s*(\d+)/m.exec(readFileSync('/proc/self/fdinfo/1', 'utf8'))?.[1];
    const isNull = fstatSync(1).rdev === statSync('/dev/null').rdev;
    return isNull && (Number.parseInt(flags ?? '0', 8) & 3) === 2;
  } catch {
    return false;
  }
}
