/** The maximum of a timer and of a setting of PostgreSQL: 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Limits a time to that maximum. setTimeout would treat a longer time as one millisecond. */
export function timerMs(ms: number): number {
  return Math.min(ms, MAX_TIMER_MS);
}
