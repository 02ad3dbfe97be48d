/** A Ctrl-C reaches a process that npm has started twice: from the terminal and from npm. */
const SAME_SIGNAL_MS = 200;

const PARENT_POLL_MS = 200;

/** The process that started this one. */
const PARENT = process.ppid;

export interface SignalOptions {
  /**
   * Take the end of the parent process for a SIGTERM. npm runs a script in a shell and sends its own SIGTERM to that
   * shell, which ends and does not pass it on.
   */
  endWithParent?: boolean;
}

/**
 * Calls `onFirst` at the first SIGTERM or SIGINT. A second signal ends the process at once, but within 200 ms
 * it counts as the first.
 */
export function onSignal(
  onFirst: (signal: NodeJS.Signals) => void,
  { endWithParent = false }: SignalOptions = {},
): void {
  let came: 'none' | 'first' | 'firstLongAgo' = 'none';
  const listen = (signal: NodeJS.Signals): void => {
    if (came === 'none') {
      came = 'first';
      // Not by the clock: a busy process handles a second signal that came meanwhile before this timer.
      setTimeout(() => setImmediate(() => (came = 'firstLongAgo')), SAME_SIGNAL_MS).unref();
      return onFirst(signal);
    }
    if (came === 'first') return;
    // As if nobody listened: Node's own exit waits for a blocking system call, such as opening a pipe.
    process.off('SIGTERM', listen).off('SIGINT', listen);
    process.kill(process.pid, signal);
    process.exit(exitCodeOf(signal)); // the system does not let a signal end the first process of a container
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

/** The exit code by which a shell shows that this signal has ended a process. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return signal === 'SIGINT' ? 130 : 143;
}
