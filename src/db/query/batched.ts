interface Waiting<V> {
  resolve: (value: V | undefined) => void;
  reject: (error: unknown) => void;
}

interface BatchOptions {
  /** The maximum number of concurrent statements. Keys that are requested meanwhile go into the next one. */
  maxRunning?: number;
  /** The number of keys in the next statement, of those that wait. */
  sizeOf?: (waiting: number) => number;
  /** After this time without a free place, one more statement starts: those that run may wait for a lock. */
  patienceMs?: number;
}

/**
 * Batches concurrent work by key into one statement (the DataLoader pattern). Under load a statement for
 * ten rows costs hardly more than one for a single row, because most of the time goes into the statement
 * and not into the row. `work` gets distinct keys and resolves with the values that it has for them.
 *
 * Guarantees: the statement begins after the work was requested, so a read sees everything that was
 * committed before; the first request of a quiet moment starts in the same turn of the event loop; if a
 * statement fails, only the callers of its keys get the error; statements that hang do not hold up the keys
 * behind them, which have the time limits of the pool.
 */
export function batched<K, V>(
  work: (keys: K[]) => Promise<ReadonlyMap<K, V>>,
  {
    maxRunning = 2,
    sizeOf = (waiting) => Math.min(waiting, 100),
    patienceMs = 100,
  }: BatchOptions = {},
): (key: K) => Promise<V | undefined> {
  const waiting = new Map<K, Waiting<V>[]>();
  let running = 0;
  let scheduled = false;
  let patience: NodeJS.Timeout | undefined;

  function schedule(): void {
    if (scheduled || waiting.size === 0) return;
    if (running >= maxRunning) {
      patience ??= setTimeout(startOneMore, patienceMs).unref();
      return;
    }
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      while (running < maxRunning && waiting.size > 0) void run(takeFirst());
      schedule();
    });
  }

  function startOneMore(): void {
    patience = undefined;
    if (waiting.size > 0) void run(takeFirst());
    schedule();
  }

  function takeFirst(): [key: K, callers: Waiting<V>[]][] {
    const first = [...waiting].slice(0, sizeOf(waiting.size));
    for (const [key] of first) waiting.delete(key);
    return first;
  }

  async function run(batch: [key: K, callers: Waiting<V>[]][]): Promise<void> {
    running++;
    clearTimeout(patience);
    patience = undefined;
    try {
      const found = await work(batch.map(([key]) => key));
      for (const [key, callers] of batch) {
        for (const { resolve } of callers) resolve(found.get(key));
      }
    } catch (error) {
      for (const [, callers] of batch) for (const { reject } of callers) reject(error);
    } finally {
      running--;
      schedule();
    }
  }

  return (key) =>
    new Promise((resolve, reject) => {
      const callers = waiting.get(key);
      if (callers) {
        callers.push({ resolve, reject });
        return;
      }
      waiting.set(key, [{ resolve, reject }]);
      schedule();
    });
}
