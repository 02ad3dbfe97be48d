import { and, eq, or, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import type { FeedPosition } from '../entity/change-feed.js';
import { relays } from '../schema.js';

export type RelayFactory = ReturnType<typeof createRelayFactory>;

/** The result of `hold`: the last change that was recorded as published, if there is one. */
export interface HeldRelay {
  published: FeedPosition | undefined;
}

/**
 * The lease of the relay with this name, and the position that it has published: one row. A lease has one
 * holder and expires by the clock of the database.
 */
export function createRelayFactory(db: Db, name: string) {
  const endsIn = (ms: number) => sql`clock_timestamp() + ${ms} * interval '1 millisecond'`;

  /** Takes or renews the lease; undefined while another instance holds it. */
  async function hold(holder: string, leaseMs: number): Promise<HeldRelay | undefined> {
    const lease = { holder, expiresAt: endsIn(leaseMs) };
    const [row] = await db
      .insert(relays)
      .values({ name, ...lease })
      .onConflictDoUpdate({
        target: relays.name,
        set: lease,
        setWhere: or(
          eq(relays.holder, holder),
          sql`${relays.expiresAt} < clock_timestamp()`,
          sql`${relays.holder} is null`,
        ),
      })
      .returning();
    if (!row) return undefined;
    const { position, sequence, commitTime } = row;
    if (position === null || sequence === null || commitTime === null) {
      return { published: undefined };
    }
    return { published: { position, sequence, commitTime } };
  }

  /** Records the published position and renews the lease; false if another instance holds it now. */
  async function advance(
    holder: string,
    { position, sequence, commitTime }: FeedPosition,
    leaseMs: number,
  ): Promise<boolean> {
    const advanced = await db
      .update(relays)
      .set({ position, sequence, commitTime, expiresAt: endsIn(leaseMs) })
      .where(isOf(holder))
      .returning({ name: relays.name });
    return advanced.length > 0;
  }

  /** Ends the lease, so that another instance can take it immediately. */
  async function release(holder: string): Promise<void> {
    await db.update(relays).set({ holder: null }).where(isOf(holder));
  }

  const isOf = (holder: string) => and(eq(relays.name, name), eq(relays.holder, holder));

  return { hold, advance, release };
}
