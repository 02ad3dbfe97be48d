import { onSignal } from './signals.js';

/** What happens between a signal and the end of the process. */
export interface Stopping {
  /** Longest time until the process is gone. */
  timeoutMs: number;
  /** Takes no more work and finishes what runs; then closes what was opened. */
  stop: () => Promise<void>;
}

/**
 * On SIGTERM or SIGINT stops, and exits with 0, or with 1 when it has not stopped within the limit.
 * A second signal exits at once.
 */
export function stopOnSignals({ timeoutMs, stop }: Stopping): void {
  onSignal(() => {
    setTimeout(() => {
      console.error(`The service did not stop within ${timeoutMs} ms.`);
      process.exit(1);
    }, timeoutMs);
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
}
