import { and, eq, lte, not, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { DataError } from '../errors.js';
import { idempotencyKeys } from '../schema.js';

/** How long a key is taken and its answer is kept. */
export const KEY_LIFETIME_HOURS = 24;

/** A key belongs to the caller who sent it: the same of another is another key. */
export interface RequestKey {
  caller: string;
  key: string;
}

/** The answer to the first request with a key. */
export interface KeptAnswer {
  /** Tells the request from another under the same key. */
  fingerprint: string;
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

const isExpired = lte(
  idempotencyKeys.createdAt,
  sql`now() - ${sql.raw(`interval '${KEY_LIFETIME_HOURS} hours'`)}`,
);

/**
 * Every query on idempotency keys. `claim` and `keep` are for the transaction of the work itself, so
 * that an answer is kept if and only if what it tells of was committed.
 */
export function createIdempotencyFactory(db: Db) {
  /**
   * Takes the key until the transaction ends, and for its lifetime if it commits with an answer.
   * Resolves with the answer that is kept under it already; undefined: the work is to be done. Of
   * two at once the second waits for the end of the first one's transaction. Throws
   * `statement_timeout` when that takes longer than a statement may.
   */
  async function claim(key: RequestKey): Promise<KeptAnswer | undefined> {
    // Looked for first: an insert locks the row that is there, so that repetitions would wait for one another.
    const kept = await keptUnder(key);
    if (kept || (await take(key))) return kept;
    const answeredMeanwhile = await keptUnder(key);
    // It expired and was removed between the two statements: the next attempt finds it free.
    if (!answeredMeanwhile) throw new DataError('conflict', 'The key has just become free.');
    return answeredMeanwhile;
  }

  async function keptUnder(key: RequestKey): Promise<KeptAnswer | undefined> {
    const { fingerprint, status, headers, body } = idempotencyKeys;
    const [kept] = await db
      .select({ fingerprint, status, headers, body })
      .from(idempotencyKeys)
      .where(and(isKey(key), not(isExpired)));
    return kept as KeptAnswer | undefined;
  }

  /** Whether there was none, or one that has expired. */
  async function take(key: RequestKey): Promise<boolean> {
    const unanswered = { fingerprint: '', status: null, headers: null, body: null };
    const taken = await db
      .insert(idempotencyKeys)
      .values({ ...key, fingerprint: '' })
      .onConflictDoUpdate({
        target: [idempotencyKeys.caller, idempotencyKeys.key],
        set: { ...unanswered, createdAt: sql`excluded.created_at` },
        setWhere: isExpired,
      })
      .returning({ key: idempotencyKeys.key });
    return taken.length > 0;
  }

  /** Keeps the answer under a key that this transaction has claimed. */
  async function keep(key: RequestKey, answer: KeptAnswer): Promise<void> {
    await db.update(idempotencyKeys).set(answer).where(isKey(key));
  }

  /**
   * Removes up to `limit` expired keys, the oldest first, but for those that a request claims at
   * this moment, and resolves with how many: as many as the limit, and there may be more.
   */
  async function removeExpired(limit = 1000): Promise<number> {
    const oldest = db
      .select({ ctid: sql`ctid` })
      .from(idempotencyKeys)
      .where(isExpired)
      .orderBy(idempotencyKeys.createdAt)
      .limit(limit)
      .for('update', { skipLocked: true });
    const removed = await db
      .delete(idempotencyKeys)
      .where(sql`ctid = any(array(${oldest}))`)
      .returning({ key: idempotencyKeys.key });
    return removed.length;
  }

  return { claim, keep, removeExpired };
}

function isKey({ caller, key }: RequestKey) {
  return and(eq(idempotencyKeys.caller, caller), eq(idempotencyKeys.key, key));
}
