/** The maximum number of keys in one statement. */
const MAX_KEYS = 100;
/** The maximum number of concurrent statements. Keys that are requested meanwhile go into the next one. */
const MAX_RUNNING = 2;

interface Waiting<V> {
  resolve: (value: V | undefined) => void;
  reject: (error: unknown) => void;
}

/**
 * Batches concurrent reads by key into one statement (the DataLoader pattern). Under load a statement for
 * ten rows costs hardly more than one for a single row, because most of the time goes into the statement
 * and not into the row. `read` gets distinct keys and resolves with the rows that it found.
 *
 * Guarantees: the statement begins after the read was requested, so the read sees everything that was
 * committed before; the first read of a quiet moment starts in the same turn of the event loop; if a
 * statement fails, only the callers of its keys get the error.
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
