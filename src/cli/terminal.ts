import { fstatSync, readFileSync, statSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';

/** An output that may be a terminal. */
export type Output = Writable & { isTTY?: boolean };

/** What a command reads, writes and complains to: the streams of the process, or those of a test. */
export interface Streams {
  input: Readable;
  output: Output;
  errors: Output;
}

/** Control characters, and those that change the direction of text: a terminal acts on them instead of showing them. */
// eslint-disable-next-line no-control-regex -- they are what is looked for
const ACTING = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The text with each character on which a terminal acts written out, as `\u001b`. */
export function visible(text: string): string {
  return text.replace(ACTING, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

/** For the parts of a file that goes to a terminal: its line breaks stay, other characters are made visible. */
export function forTerminal(): (part: Buffer) => string {
  const decoder = new TextDecoder();
  return (part) =>
    decoder
      .decode(part, { stream: true })
      .split(/(\r?\n)/)
      .map((text, index) => (index % 2 === 1 ? text : visible(text)))
      .join('');
}

/** Prints lines. A line break within one is written out too, so that no value can look like a line. */
export function print(output: Writable, ...lines: string[]): void {
  for (const line of lines) output.write(`${visible(line)}\n`);
}

/** Makes the process end with 1 when what it prints on standard output cannot be written, as to a pipe that is closed. */
export function failWhenOutputFails(): void {
  let failure: Error | undefined;
  process.stdout.on('error', (error: Error) => {
    failure ??= error;
  });
  process.on('exit', () => {
    if (!failure || process.exitCode) return; // a command that failed has said why
    print(process.stderr, outputFailure(failure));
    process.exitCode = 1;
  });
}

/** What to tell of an output that could not be written. */
export function outputFailure({ code, message }: NodeJS.ErrnoException): string {
  return code === 'EPIPE' ? 'Nobody reads the output any more.' : message;
}

/**
 * Whether this process was started without a standard output (`>&-`). Node puts /dev/null in its place, open for
 * reading too, which `> /dev/null` is not. Only Linux shows it.
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
