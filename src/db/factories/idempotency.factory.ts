import { and, eq, lte, not, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { DataError } from '../errors.js';
import { idempotencyKeys } from '../schema.js';

/** The time for which a key is taken and its answer is stored. */
export const KEY_LIFETIME_HOURS = 24;

/** A key belongs to its caller: the same key of another caller is a different key. */
export interface RequestKey {
  caller: string;
  key: string;
}

/** The answer to the first request with a key. */
export interface KeptAnswer {
  /** Identifies the request, to detect a different request with the same key. */
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
 * All queries on idempotency keys. Call `claim` and `keep` in the transaction of the work itself, so that
 * an answer is stored if and only if its work is committed.
 */
export function createIdempotencyFactory(db: Db) {
  /**
   * Takes the key until the transaction ends, and for its lifetime if the transaction commits with an
   * answer. Resolves with the stored answer of the key; undefined means that the work must be done. The
   * second of two concurrent callers waits for the transaction of the first. Throws `statement_timeout` if
   * that takes longer than the limit of a statement.
   */
  async function claim(key: RequestKey): Promise<KeptAnswer | undefined> {
    // Read first: an insert would lock the existing row, so that concurrent retries would wait for each other.
    const kept = await keptUnder(key);
    if (kept || (await take(key))) return kept;
    const answeredMeanwhile = await keptUnder(key);
    // The key expired and was removed between the two statements. The next attempt finds it free.
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

  /** Inserts the key, or replaces an expired one. Returns false if the key exists. */
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

  /** Stores the answer under a key that this transaction has claimed. */
  async function keep(key: RequestKey, answer: KeptAnswer): Promise<void> {
    await db.update(idempotencyKeys).set(answer).where(isKey(key));
  }

  /**
   * Removes up to `limit` expired keys, the oldest first, except those that a request is just claiming.
   * Resolves with their number; if it equals `limit`, there may be more.
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
