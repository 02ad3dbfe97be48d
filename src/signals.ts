/** A Ctrl-C reaches a process that npm has started twice: from the terminal and from npm. */
const SAME_SIGNAL_MS = 200;

/** From now on calls `onFirst` at the first SIGTERM or SIGINT; a second one ends the process at once. */
export function onSignal(onFirst: (signal: NodeJS.Signals) => void): void {
  let firstAt: number | undefined;
  const listen = (signal: NodeJS.Signals): void => {
    if (firstAt === undefined) {
      firstAt = performance.now();
      return onFirst(signal);
    }
    if (performance.now() - firstAt < SAME_SIGNAL_MS) return;
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
