import { exitCodeOf } from '../process/signals.js';

/** A Ctrl-C or a SIGTERM came. */
class Interrupted extends Error {
  override readonly name = 'Interrupted';

  constructor(readonly exitCode: number) {
    super('Interrupted.');
  }
}

/** Calls back at the first Ctrl-C or SIGTERM. */
export type OnInterrupt = (interrupt: (signal: NodeJS.Signals) => void) => void;

/**
 * Runs the work of the process. A Ctrl-C or a SIGTERM aborts the signal that the work is given, so that it can clean
 * up in its own time; a second one ends the process. When aborted, rejects with `Interrupted` and the exit code,
 * whatever the work rejects with.
 */
export async function interruptible<T>(
  onInterrupt: OnInterrupt,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const interruption = new AbortController();
  onInterrupt((signal) => interruption.abort(new Interrupted(exitCodeOf(signal))));
  try {
    return await work(interruption.signal);
  } catch (error) {
    interruption.signal.throwIfAborted();
    throw error;
  }
}
