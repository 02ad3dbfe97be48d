import { onSignal, type SignalOptions } from './signals.js';

/** The steps between a signal and the end of the process. */
export interface Stopping extends SignalOptions {
  /** The longest time until the process has ended. */
  timeoutMs: number;
  /** Refuses new work, finishes what is running, then closes what was opened. */
  stop: () => Promise<void>;
  /** Closes what would outlive the process, if it has not stopped within the limit. */
  giveUp: () => Promise<unknown>;
}

/**
 * Stops on SIGTERM or SIGINT and exits with 0, or with 1 if the stop fails or exceeds the limit. A second
 * signal exits immediately.
 */
export function stopOnSignals({ timeoutMs, stop, giveUp, ...options }: Stopping): void {
  onSignal(() => {
    let isLate = false;
    setTimeout(() => {
      isLate = true;
      console.error(`The service did not stop within ${timeoutMs} ms.`);
      void giveUp().finally(() => process.exit(1));
    }, timeoutMs);
    stop().then(
      () => isLate || process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  }, options);
}
