/** The most combining marks in a row; languages have a few, and Unicode's own limit is 30 (UAX #15, "Stream-Safe Text Format"). */
export const MAX_MARKS = 100;
const TOO_MANY_MARKS = new RegExp(`(?<!\\p{M})\\p{M}{${MAX_MARKS + 1}}`, 'u');

/** Returns true for too many combining marks in a row: the time to sort them grows with the square of their number. */
export function hasTooManyMarks(text: string): boolean {
  return text.length > MAX_MARKS && TOO_MANY_MARKS.test(text);
}

/**
 * Unicode normalization form C: texts that look alike are alike. Anything else is for the database to
 * refuse, and so is text with too many combining marks, unless it is in form C already.
 */
export function nfc(text: string): string {
  return typeof text === 'string' && !hasTooManyMarks(text) ? text.normalize('NFC') : text;
}

/** Returns the values with every text in Unicode NFC. */
export function normalizeTexts<T extends object>(values: T): T {
  const entries = Object.entries(values).map(([name, value]) => [name, nfc(value as string)]);
  return Object.fromEntries(entries) as T;
}
