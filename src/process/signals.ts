/** A process that npm has started gets a Ctrl-C twice: from the terminal and from npm. */
const SAME_SIGNAL_MS = 200;

const PARENT_POLL_MS = 200;

/** The process that started this one. */
const PARENT = process.ppid;

export interface SignalOptions {
  /**
   * Treats the end of the parent process as a SIGTERM. npm runs a script in a shell and sends SIGTERM to that
   * shell, which ends without forwarding it.
   */
  endWithParent?: boolean;
}

/**
 * Calls `onFirst` at the first SIGTERM or SIGINT. A second signal within 200 ms is ignored; a later one ends
 * the process immediately.
 */
export function onSignal(
  onFirst: (signal: NodeJS.Signals) => void,
  { endWithParent = false }: SignalOptions = {},
): void {
  let came: 'none' | 'first' | 'firstLongAgo' = 'none';
  const listen = (signal: NodeJS.Signals): void => {
    if (came === 'none') {
      came = 'first';
      // A timer instead of the clock: a busy process handles a signal that arrived meanwhile before the timer.
      setTimeout(() => setImmediate(() => (came = 'firstLongAgo')), SAME_SIGNAL_MS).unref();
      return onFirst(signal);
    }
    if (came === 'first') return;
    // Restore the default action: Node's own exit would wait for a blocking system call, such as opening a pipe.
    process.off('SIGTERM', listen).off('SIGINT', listen);
    process.kill(process.pid, signal);
    process.exit(exitCodeOf(signal)); // the first process of a container ignores a signal without a handler
  };
  process.on('SIGTERM', listen).on('SIGINT', listen);
  if (endWithParent) onParentEnd(() => came === 'none' && listen('SIGTERM'));
}

function onParentEnd(ended: () => void): void {
  const timer = setInterval(() => {
    if (process.ppid === PARENT) return;
    clearInterval(timer);
    ended();
  }, PARENT_POLL_MS);
  timer.unref();
}

/** Returns the exit code that shells use for a process that this signal has ended. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return signal === 'SIGINT' ? 130 : 143;
}
