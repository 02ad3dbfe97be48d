/** A database URL that cannot be used. The message repeats no value of it: it may hold a password. */
export class DatabaseUrlError extends Error {
  override readonly name = 'DatabaseUrlError';

  /** `fault` is a phrase behind the name of the setting, such as "has no host". */
  constructor(readonly fault: string) {
    super(`The database URL ${fault}.`);
  }
}
