import { isStartedByNpm } from '../config/npm.js';
import { exitCodeOf, onSignal } from '../process/signals.js';

/** A Ctrl-C or a SIGTERM came. */
class Interrupted extends Error {
  override readonly name = 'Interrupted';

  constructor(readonly exitCode: number) {
    super('Interrupted.');
  }
}

/**
 * Runs the work of the process. A Ctrl-C or a SIGTERM aborts the signal that the work is given, so that it can clean
 * up in its own time; a second one ends the process. When aborted, rejects with `Interrupted` and the exit code,
 * whatever the work rejects with.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new AbortController();
  onSignal((signal) => interruption.abort(new Interrupted(exitCodeOf(signal))), {
    endWithParent: isStartedByNpm(),
  });
  try {
    return await work(interruption.signal);
  } catch (error) {
    interruption.signal.throwIfAborted();
    throw error;
  }
}
