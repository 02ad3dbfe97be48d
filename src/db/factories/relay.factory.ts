import { and, eq, or, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import type { FeedPosition } from '../entity/change-feed.js';
import { relays } from '../schema.js';

export type RelayFactory = ReturnType<typeof createRelayFactory>;

/** What `hold` found: the last change that was recorded as published, if any was. */
export interface HeldRelay {
  published: FeedPosition | undefined;
}

/**
 * The lease of the relay with this name, and how far it has come: one row. A lease is of one holder
 * and ends by itself, by the clock of the database.
 */
export function createRelayFactory(db: Db, name: string) {
  const endsIn = (ms: number) => sql`clock_timestamp() + ${ms} * interval '1 millisecond'`;

  /** Takes or renews the lease; undefined while another has it. */
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

  /** Records what is published, and renews the lease; false if another has it by now. */
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

  /** Ends the lease, so that another instance takes it at once. */
  async function release(holder: string): Promise<void> {
    await db.update(relays).set({ holder: null }).where(isOf(holder));
  }

  const isOf = (holder: string) => and(eq(relays.name, name), eq(relays.holder, holder));

  return { hold, advance, release };
}
