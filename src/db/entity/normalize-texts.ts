/**
 * The maximum number of consecutive combining marks. Languages need a few; Unicode's own limit is 30 (UAX #15,
 * "Stream-Safe Text Format").
 */
export const MAX_MARKS = 100;
const TOO_MANY_MARKS = new RegExp(`(?<!\\p{M})\\p{M}{${MAX_MARKS + 1}}`, 'u');

/**
 * True if a text has too many consecutive combining marks. The time to sort them grows with the square of their
 * number.
 */
export function hasTooManyMarks(text: string): boolean {
  return text.length > MAX_MARKS && TOO_MANY_MARKS.test(text);
}

/**
 * Converts a text to Unicode normalization form C, so that texts that look the same are equal. Other values are
 * returned unchanged, and the database refuses them. A text with too many combining marks is also returned unchanged,
 * and is refused unless it already has form C.
 */
export function nfc(text: string): string {
  return typeof text === 'string' && !hasTooManyMarks(text) ? text.normalize('NFC') : text;
}

/** Returns the values with every text in Unicode normalization form C. */
export function normalizeTexts<T extends object>(values: T): T {
  const entries = Object.entries(values).map(([name, value]) => [name, nfc(value as string)]);
  return Object.fromEntries(entries) as T;
}
