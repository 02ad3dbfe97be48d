import { channel } from 'node:diagnostics_channel';

/** What is published when a statement has ended. It never holds a value: the text has placeholders. */
export interface StatementEvent {
  text: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  ms: number;
  rows: number;
  /** The server's process, as in pg_stat_activity; behind a pooler a number of the pooler's. */
  pid: number;
  /** What it failed with. */
  error?: unknown;
}

/** What is published when somebody has waited for a connection because none was idle. */
export interface AcquireEvent {
  ms: number;
  /** What the wait ended with, if not with a connection. */
  error?: unknown;
}

export const STATEMENT_CHANNEL = 'projects-service:statement';
export const ACQUIRE_CHANNEL = 'projects-service:acquire';

const statements = channel(STATEMENT_CHANNEL);
const acquires = channel(ACQUIRE_CHANNEL);

/** Runs a statement and publishes it. Costs nothing while nobody has subscribed (node:diagnostics_channel). */
export function observeStatement<R extends { length: number }>(
  text: string,
  pid: number,
  run: () => Promise<R>,
): Promise<R> {
  if (!statements.hasSubscribers) return run();
  const startedAt = Date.now();
  const began = performance.now();
  const publish = (rows: number, error?: unknown) => {
    const event: StatementEvent = { text, startedAt, ms: performance.now() - began, rows, pid };
    statements.publish(error === undefined ? event : { ...event, error });
  };
  return run().then(
    (rows) => {
      publish(rows.length);
      return rows;
    },
    (error: unknown) => {
      publish(0, error);
      throw error;
    },
  );
}

/** Publishes a wait for a connection when it has ended. */
export function observeAcquire<S>(waiting: Promise<S>): Promise<S> {
  if (!acquires.hasSubscribers) return waiting;
  const began = performance.now();
  const publish = (event: object) =>
    acquires.publish({ ms: performance.now() - began, ...event } satisfies AcquireEvent);
  waiting.then(
    () => publish({}),
    (error: unknown) => publish({ error }),
  );
  return waiting;
}
