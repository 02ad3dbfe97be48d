import { channel } from 'node:diagnostics_channel';

/** Published when a statement has ended. It never contains values, because the text has placeholders. */
export interface StatementEvent {
  text: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  ms: number;
  rows: number;
  /** The process id of the server, as in pg_stat_activity; behind a pooler a number of the pooler. */
  pid: number;
  /** The error, if it failed. */
  error?: unknown;
}

/** Published when a caller has waited for a connection because none was idle. */
export interface AcquireEvent {
  ms: number;
  /** The error, if the wait did not end with a connection. */
  error?: unknown;
}

export const STATEMENT_CHANNEL = 'projects-service:statement';
export const ACQUIRE_CHANNEL = 'projects-service:acquire';

const statements = channel(STATEMENT_CHANNEL);
const acquires = channel(ACQUIRE_CHANNEL);

/** Runs a statement and publishes it. Without subscribers it costs nothing (node:diagnostics_channel). */
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

/** Publishes the duration of a wait for a connection. */
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
