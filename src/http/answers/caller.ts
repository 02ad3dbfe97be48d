/** Guards set `user` on a request to the caller that they have authenticated. */
interface Recognized {
  user?: unknown;
}

/**
 * Returns the name of the caller from `user`, which guards set on a request or on the context of a
 * message: the text itself, or the first of its fields `sub`, `id` and `name`. Empty if the caller is
 * not authenticated.
 */
export function callerOf(req: object): string {
  const { user } = req as Recognized;
  if (typeof user === 'string') return user;
  if (typeof user !== 'object' || user === null) return '';
  const { sub, id, name } = user as Record<string, unknown>;
  const caller = sub ?? id ?? name;
  return typeof caller === 'string' || typeof caller === 'number' ? String(caller) : '';
}
