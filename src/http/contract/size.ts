import type { Fault } from '../problems/problem.js';

/** Of one object. Many more than any DTO has, and few enough to be refused one by one. */
export const MAX_FIELDS = 100;
/** Of one object, in all its fields together: the validators take about a microsecond for each. */
const MAX_VALUES = 2000;

/**
 * Says which field makes an object too large to be validated at once. Stops counting at the limits.
 * The fields that `ListOf` and `ObjectOf` check are not among them.
 */
export function sizeFault(object: object): Fault | undefined {
  let fields = 0;
  let left = MAX_VALUES;
  for (const path in object) {
    if (++fields > MAX_FIELDS) return { path: '', message: `holds more than ${MAX_FIELDS} fields` };
    left -= countOf((object as Record<string, unknown>)[path], left);
    if (left < 0) return { path, message: `holds more than ${MAX_VALUES} values` };
  }
  return undefined;
}

/** How many values there are in a value, itself included; more than `most` is not counted exactly. */
function countOf(value: unknown, most: number): number {
  if (typeof value !== 'object' || value === null) return 1;
  const items: unknown[] = Array.isArray(value) ? value : Object.values(value);
  let count = 1 + items.length;
  for (let i = 0; i < items.length && count <= most; i++) {
    count += countOf(items[i], most - count) - 1;
  }
  return count;
}
