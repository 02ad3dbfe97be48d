import { is } from 'drizzle-orm';
import { PgTransaction } from 'drizzle-orm/pg-core';
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
  return await retryOnConflict(() => db.transaction(work));
}

/**
 * Runs one statement, again after a conflict as `inTransaction` does. In an open transaction it runs
 * once: a failed statement ends that transaction, and its owner runs it again.
 */
export async function retryStatement<T>(db: Db, statement: () => Promise<T>): Promise<T> {
  return is(db, PgTransaction) ? await statement() : await retryOnConflict(statement);
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
