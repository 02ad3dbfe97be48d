import { exitCodeOf } from '../process/signals.js';

/** The process received a Ctrl-C or a SIGTERM. */
class Interrupted extends Error {
  override readonly name = 'Interrupted';

  constructor(readonly exitCode: number) {
    super('Interrupted.');
  }
}

/** Registers a callback for the first Ctrl-C or SIGTERM. */
export type OnInterrupt = (interrupt: (signal: NodeJS.Signals) => void) => void;

/**
 * Runs the work of the process. A Ctrl-C or a SIGTERM aborts the signal that the work gets, so that it can clean
 * up; a second one ends the process. If aborted work rejects, this rejects with `Interrupted` and the exit code
 * instead of the work's error.
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
