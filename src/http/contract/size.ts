import type { Fault } from '../problems/problem.js';

/** The maximum number of fields of one object: many more than any DTO has. */
export const MAX_FIELDS = 100;
/** The maximum number of values in one object; validation takes about a microsecond for each. */
const MAX_VALUES = 2000;

/**
 * Returns a fault if an object has too many fields or values to be validated in one step. It stops
 * counting at the limits. Fields that `ListOf` and `ObjectOf` check must be left out by the caller.
 */
export function sizeFault(object: object): Fault | undefined {
  let fields = 0;
  let left = MAX_VALUES;
  for (const path in object) {
    if (++fields > MAX_FIELDS)
      return { path: '', message: `contains more than ${MAX_FIELDS} fields` };
    left -= countOf((object as Record<string, unknown>)[path], left);
    if (left < 0) return { path, message: `contains more than ${MAX_VALUES} values` };
  }
  return undefined;
}

/** Counts the values inside a value, itself included. The result is exact only up to `most`. */
function countOf(value: unknown, most: number): number {
  if (typeof value !== 'object' || value === null) return 1;
  const items: unknown[] = Array.isArray(value) ? value : Object.values(value);
  let count = 1 + items.length;
  for (let i = 0; i < items.length && count <= most; i++) {
    count += countOf(items[i], most - count) - 1;
  }
  return count;
}
