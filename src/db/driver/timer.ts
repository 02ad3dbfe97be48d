/** The longest time that a timer, and a setting of PostgreSQL, can hold: 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** A longer time becomes the longest; setTimeout alone would make one millisecond of it. */
export function timerMs(ms: number): number {
  return Math.min(ms, MAX_TIMER_MS);
}
