import type { Db } from './connection.js';
import { asDataError } from './errors.js';

const MAX_ATTEMPTS = 5;

/**
 * Runs `work` in one transaction, given as its argument: build the factories from it. Commits when
 * it resolves, rolls back when it rejects. When the database ended it for another transaction's
 * sake (SQLSTATE 40001, 40P01, 55P03) it runs again from the start, up to five times, so `work` must
 * have no effect outside the database.
 */
export async function inTransaction<T>(db: Db, work: (tx: Db) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction(work);
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || asDataError(error)?.code !== 'conflict') throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 ** attempt * 5));
    }
  }
}
