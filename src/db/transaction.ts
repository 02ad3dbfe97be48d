import type { Db } from './connection.js';
import { asDataError } from './errors.js';
import { isTransaction } from './query/drizzle-internals.js';

const MAX_ATTEMPTS = 5;

/**
 * Runs `work` in one transaction, which is its argument: create the factories from it. It commits when
 * `work` resolves and rolls back when `work` rejects. After a conflict with another transaction (SQLSTATE
 * 40001, 40P01, 55P03) `work` runs again from the start, up to five times, so it must have no effect outside
 * the database.
 */
export async function inTransaction<T>(db: Db, work: (tx: Db) => Promise<T>): Promise<T> {
  return await retryOnConflict(() => db.transaction(work));
}

/**
 * Runs one statement, and retries it after a conflict as `inTransaction` does. In an open transaction it runs
 * once: a failed statement aborts that transaction, and its owner must retry the whole transaction.
 */
export async function retryStatement<T>(db: Db, statement: () => Promise<T>): Promise<T> {
  return isTransaction(db) ? await statement() : await retryOnConflict(statement);
}

async function retryOnConflict<T>(attempt: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt();
    } catch (error) {
      if (attempts === MAX_ATTEMPTS || asDataError(error)?.code !== 'conflict') throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 ** attempts * 5));
    }
  }
}
