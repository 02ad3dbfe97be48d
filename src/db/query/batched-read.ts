/** Most keys of one statement. */
const MAX_KEYS = 100;
/** Statements under way at once; what is asked for meanwhile goes with the next. */
const MAX_RUNNING = 2;

interface Waiting<V> {
  resolve: (value: V | undefined) => void;
  reject: (error: unknown) => void;
}

/**
 * Reads by key, those asked for at the same time as one statement (the DataLoader pattern): under
 * load a statement for ten rows costs hardly more than one for a single row, and most of a read's
 * time is the statement, not the row. `read` is given different keys and resolves with what it found.
 *
 * Guarantees: a read begins after it was asked for, so it sees all that was committed before; the
 * first of a quiet moment goes at once, in the same turn of the event loop; when a statement fails,
 * only the callers that asked for its keys are told.
 */
export function batchedRead<V>(
  read: (keys: string[]) => Promise<ReadonlyMap<string, V>>,
): (key: string) => Promise<V | undefined> {
  const waiting = new Map<string, Waiting<V>[]>();
  let running = 0;
  let scheduled = false;

  function schedule(): void {
    if (scheduled || running === MAX_RUNNING || waiting.size === 0) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      while (running < MAX_RUNNING && waiting.size > 0) void run(takeFirst());
    });
  }

  function takeFirst(): [key: string, readers: Waiting<V>[]][] {
    const first = [...waiting].slice(0, MAX_KEYS);
    for (const [key] of first) waiting.delete(key);
    return first;
  }

  async function run(batch: [key: string, readers: Waiting<V>[]][]): Promise<void> {
    running++;
    try {
      const found = await read(batch.map(([key]) => key));
      for (const [key, readers] of batch) {
        for (const { resolve } of readers) resolve(found.get(key));
      }
    } catch (error) {
      for (const [, readers] of batch) for (const { reject } of readers) reject(error);
    } finally {
      running--;
      schedule();
    }
  }

  return (key) =>
    new Promise((resolve, reject) => {
      const readers = waiting.get(key);
      if (readers) {
        readers.push({ resolve, reject });
        return;
      }
      waiting.set(key, [{ resolve, reject }]);
      schedule();
    });
}
