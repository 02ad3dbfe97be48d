import { setTimeout } from 'node:timers/promises';
import { type Stopping, stopOnSignals } from './stop-on-signals.js';

type Close = () => unknown;
type Describe = (error: unknown) => string;
type Start = (onStop: (close: Close) => void) => Promise<void>;

/** The extra time to close what must not outlive a process that did not stop in time. */
const LAST_CHANCE_MS = 2000;

/**
 * Starts a service and stops it on SIGTERM or SIGINT: what was opened is closed in reverse order. If the
 * start fails, it closes too, prints the error as `describe` words it, and exits with the error's `exitCode`.
 * After `timeoutMs` it calls the remaining close functions, such as that of a database server, and the process exits with 1.
 */
export async function run(
  { describe, ...options }: Pick<Stopping, 'timeoutMs' | 'endWithParent'> & { describe: Describe },
  start: Start,
): Promise<void> {
  // A log that cannot be written, because its reader has ended or its disk is full, must not end the service.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const opened: Close[] = [];
  const closeAll = async () => {
    for (let close = opened.pop(); close; close = opened.pop()) await close();
  };
  const starting = start((close) => opened.push(close));
  stopOnSignals({
    ...options,
    // Wait for the start to finish. Otherwise the resources that it is opening would not be closed. If it fails, the
    // code below closes them and exits.
    stop: () => starting.then(closeAll, () => new Promise(() => {})),
    giveUp: () => Promise.race([closeAll(), setTimeout(LAST_CHANCE_MS)]),
  });
  try {
    await starting;
  } catch (error) {
    await closeAll();
    exitWith(describe)(error);
  }
}

/** Returns a function that prints an error and ends the process with the error's `exitCode`, or 1. */
export function exitWith(describe: Describe): (error: unknown) => never {
  return (error) => {
    console.error(describe(error));
    process.exit((error as { exitCode?: number }).exitCode ?? 1);
  };
}
