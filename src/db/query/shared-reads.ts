/**
 * Lets concurrent callers of an equal query share one read and its result (request coalescing). A read begins after
 * its callers have asked, so it sees everything that was committed before: callers that ask during a read get the
 * result of the next one. A page that many clients request at once is thus read once for all that wait.
 *
 * Guarantees: queries are equal only if all their values are; a query with values of other types than texts, numbers,
 * booleans, dates, lists and plain objects is not shared. An error goes to the callers of its read only. The callers
 * must not change the result.
 */
export function shareReads<Query, Result>(
  read: (query: Query) => Promise<Result>,
  /** After this time a read no longer holds up the next one, because its server may have stopped. */
  patienceMs = 100,
): (query: Query) => Promise<Result> {
  const running = new Map<string, Promise<Result>>();
  const next = new Map<string, Promise<Result>>();

  function start(key: string, query: Query): Promise<Result> {
    const result = read(query);
    const forget = () => {
      if (running.get(key) === result) running.delete(key);
    };
    running.set(key, result);
    result.then(forget, forget);
    return result;
  }

  async function startAfter(current: Promise<Result>, key: string, query: Query): Promise<Result> {
    await settled(current, patienceMs);
    next.delete(key);
    return await start(key, query);
  }

  return (query) => {
    if (!isPlain(query)) return read(query);
    const key = JSON.stringify(query);
    const current = running.get(key);
    if (!current) return start(key, query);
    let following = next.get(key);
    if (!following) next.set(key, (following = startAfter(current, key, query)));
    return following;
  };
}

/** True if no different value has the same JSON, except for a date and its text. */
function isPlain(value: unknown): boolean {
  if (value === undefined || value === null) return value === undefined;
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object') return typeof value === 'string' || typeof value === 'boolean';
  if (value instanceof Date) return !Number.isNaN(value.getTime());
  if (Array.isArray(value)) return value.every((item) => item !== undefined && isPlain(item));
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain);
}

/** Resolves when the promise is settled, and after `ms` at the latest. */
function settled(promise: Promise<unknown>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms).unref();
    const end = () => {
      clearTimeout(timer);
      resolve();
    };
    promise.then(end, end);
  });
}
