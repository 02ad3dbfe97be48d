import { setTimeout } from 'node:timers/promises';
import { type Stopping, stopOnSignals } from './stop-on-signals.js';

type Close = () => unknown;
type Start = (onStop: (close: Close) => void) => Promise<void>;

/** For what must not be left behind by a process that did not stop in time. */
const LAST_CHANCE_MS = 2000;

/**
 * Starts a service and stops it on SIGTERM or SIGINT: what was opened is closed, the last one first.
 * A start that fails closes too, prints its error and exits with its `exitCode`. After `timeoutMs`
 * the process exits with 1, and what is still open, such as a database server, is told to close.
 */
export async function run(
  options: Pick<Stopping, 'timeoutMs' | 'endWithParent'>,
  start: Start,
): Promise<void> {
  const opened: Close[] = [];
  const closeAll = async () => {
    for (let close = opened.pop(); close; close = opened.pop()) await close();
  };
  const starting = start((close) => opened.push(close));
  stopOnSignals({
    ...options,
    // What is just being started would be left behind.
    stop: () => starting.then(closeAll),
    giveUp: () => Promise.race([closeAll(), setTimeout(LAST_CHANCE_MS)]),
  });
  try {
    await starting;
  } catch (error) {
    await closeAll();
    exitWith(error);
  }
}

/** Prints the error and ends the process with its `exitCode`, or 1. */
export function exitWith(error: unknown): never {
  const { message, exitCode = 1 } = error as Error & { exitCode?: number };
  console.error(message);
  process.exit(exitCode);
}
