import { sql } from 'drizzle-orm';
import type { Db } from './connection.js';
import { inTransaction } from './transaction.js';

/** A periodic task that removes or folds rows in the database. */
export interface HousekeepingTask {
  /** The name in the log, and of the lock that lets only one instance at a time run the task. */
  name: string;
  /**
   * Processes as many rows as fit into a short transaction, and resolves with their number; 0 means that nothing is
   * left.
   */
  step: (tx: Db) => Promise<number>;
}

export interface Housekeeping {
  /** Stops after the current step. */
  stop: () => Promise<void>;
}

export interface HousekeepingOptions {
  /** The time between the end of one round and the next round. */
  intervalMs?: number;
  /** Called when a task fails. The task runs again in the next round. */
  onError: (task: string, error: unknown) => void;
}

/**
 * Runs the tasks immediately and then every minute, until it is stopped. Its timer does not keep the process
 * alive. Of several instances on one database, only one at a time runs a task.
 */
export function startHousekeeping(
  db: Db,
  tasks: HousekeepingTask[],
  { intervalMs = 60_000, onError }: HousekeepingOptions,
): Housekeeping {
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  const doAll = async (): Promise<void> => {
    for (const task of tasks) {
      try {
        while (!isStopped && (await doStep(db, task)) > 0);
      } catch (error) {
        onError(task.name, error);
      }
    }
    if (!isStopped) timer = setTimeout(again, intervalMs).unref();
  };
  const again = (): void => {
    round = doAll();
  };
  let round = doAll();
  return {
    stop: async () => {
      isStopped = true;
      clearTimeout(timer);
      await round;
    },
  };
}

/** Runs one step of a task. Returns 0 also if another instance is running the task. */
async function doStep(db: Db, { name, step }: HousekeepingTask): Promise<number> {
  return await inTransaction(db, async (tx) => {
    const [row] = await tx.execute<{ mine: boolean }>(
      sql`select pg_try_advisory_xact_lock(hashtext('housekeeping'), hashtext(${name})) as mine`,
    );
    return row!.mine ? await step(tx) : 0;
  });
}
