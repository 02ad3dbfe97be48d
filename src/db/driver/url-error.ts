/**
 * Thrown for an invalid database URL. The message contains no value of the URL, because the URL may contain a
 * password.
 */
export class DatabaseUrlError extends Error {
  override readonly name = 'DatabaseUrlError';

  /** `fault` continues a sentence after the name of the setting, such as "has no host". */
  constructor(readonly fault: string) {
    super(`The database URL ${fault}.`);
  }
}
