/** A Ctrl-C reaches a process that npm has started twice: from the terminal and from npm. */
const SAME_SIGNAL_MS = 200;

/** From now on calls `onFirst` at the first SIGTERM or SIGINT; a second one ends the process at once. */
export function onSignal(onFirst: (signal: NodeJS.Signals) => void): void {
  let came: 'none' | 'first' | 'firstLongAgo' = 'none';
  const listen = (signal: NodeJS.Signals): void => {
    if (came === 'none') {
      came = 'first';
      // Not by the clock: of a process that is busy meanwhile the second is heard behind the timer.
      setTimeout(() => setImmediate(() => (came = 'firstLongAgo')), SAME_SIGNAL_MS).unref();
      return onFirst(signal);
    }
    if (came === 'first') return;
    // As if nobody listened: an exit of Node's own waits for a call of the system that waits, such as to open a pipe.
    process.off('SIGTERM', listen).off('SIGINT', listen);
    process.kill(process.pid, signal);
    process.exit(exitCodeOf(signal)); // the first process of a container is spared by the system
  };
  process.on('SIGTERM', listen).on('SIGINT', listen);
}

/** As a shell has it for a process that the signal has ended. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return signal === 'SIGINT' ? 130 : 143;
}
