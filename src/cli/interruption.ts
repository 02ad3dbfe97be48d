/** By Ctrl-C. */
class Interrupted extends Error {
  override readonly name = 'Interrupted';
  /** As a shell has it for SIGINT. */
  readonly exitCode = 130;
}

/**
 * Runs work that a Ctrl-C ends by the signal given to it, so that it can clean up; a second one ends
 * the process. Rejects with why it was ended, whatever the work then rejects with.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interruption = new AbortController();
  const interrupt = () => interruption.abort(new Interrupted('Interrupted.'));
  process.once('SIGINT', interrupt);
  try {
    return await work(interruption.signal);
  } catch (error) {
    interruption.signal.throwIfAborted();
    throw error;
  } finally {
    process.off('SIGINT', interrupt);
  }
}
