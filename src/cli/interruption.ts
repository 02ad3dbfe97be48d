import { exitCodeOf, onSignal } from '../process/signals.js';

/** By Ctrl-C or SIGTERM. */
class Interrupted extends Error {
  override readonly name = 'Interrupted';

  constructor(readonly exitCode: number) {
    super('Interrupted.');
  }
}

/**
 * Runs the work of the process, which a Ctrl-C or SIGTERM ends by the signal given to it, so that it
 * can clean up, in its own time; a second one ends the process. Rejects with why it was ended,
 * whatever the work then rejects with.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new AbortController();
  onSignal((signal) => interruption.abort(new Interrupted(exitCodeOf(signal))));
  try {
    return await work(interruption.signal);
  } catch (error) {
    interruption.signal.throwIfAborted();
    throw error;
  }
}
