/** Unicode normalization form C: texts that look alike are alike. Anything else is for the database to refuse. */
export function nfc(text: string): string {
  return typeof text === 'string' ? text.normalize('NFC') : text;
}

/** The same values with every text in form C. */
export function normalizeTexts<T extends object>(values: T): T {
  const entries = Object.entries(values).map(([name, value]) => [name, nfc(value as string)]);
  return Object.fromEntries(entries) as T;
}
