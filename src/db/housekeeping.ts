import { sql } from 'drizzle-orm';
import type { Db } from './connection.js';
import { inTransaction } from './transaction.js';

/** Something to be removed from the database now and then. */
export interface HousekeepingTask {
  /** For the log, and for the lock under which one instance at a time does it. */
  name: string;
  /** Removes what one short transaction can, and resolves with how much that was: 0 when all is done. */
  step: (tx: Db) => Promise<number>;
}

export interface Housekeeping {
  /** Lets the step that runs finish. */
  stop: () => Promise<void>;
}

export interface HousekeepingOptions {
  /** From the end of one round to the next. */
  intervalMs?: number;
  /** Told of a task that failed; it is tried again in the next round. */
  onError: (task: string, error: unknown) => void;
}

/**
 * Does the tasks at once and then every minute, until it is stopped; it keeps no process alive. Of
 * several instances on one database one does a task at a time, whichever comes first.
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

/** 0 also while another instance does it. */
async function doStep(db: Db, { name, step }: HousekeepingTask): Promise<number> {
  return await inTransaction(db, async (tx) => {
    const [row] = await tx.execute<{ mine: boolean }>(
      sql`select pg_try_advisory_xact_lock(hashtext('housekeeping'), hashtext(${name})) as mine`,
    );
    return row!.mine ? await step(tx) : 0;
  });
}
