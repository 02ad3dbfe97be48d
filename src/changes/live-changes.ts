import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { type Db, listenBeside } from '../db/connection.js';
import { asDataError, errorCodeOf } from '../db/errors.js';
import type { FeedPosition } from '../db/entity/change-feed.js';
import { type ChangesFactory, createChangesFactory } from '../db/entity/changes.factory.js';
import { batchesOf, type FeedBatch, toBatch, toFeedEvent } from './feed-events.js';
import { publishFeedLag } from './feed-lag.js';
import { RecentEvents } from './recent-events.js';
import { WakeUp } from './wake-up.js';

/** A receiver of new changes. */
export interface Follower {
  /** The position of the last change that it has. */
  readonly seen: FeedPosition;
  /** Takes the events of the batch that come after `seen`. */
  take(batch: FeedBatch): void;
  /** True if too much of what it was given is still unsent. */
  readonly isBehind: boolean;
  /** Tells it that it gets no more changes: it must catch up by itself, and may join again then. */
  leaveBehind(): void;
  end(): void;
}

/** The channel that the trigger `changes_take_position` notifies. */
const CHANNEL = 'changes';
/** The longest time between two reads, in case a notification is lost. */
const POLL_MS = 1000;
/** The pause after a read, so that a thousand commits per second do not cause a thousand reads. */
const PAUSE_MS = 25;
const PAGE = 100;
/** The total time that all followers wait for a slow one before it is left behind. */
const GRACE_MS = 250;
const GRACE_STEP_MS = 10;

/**
 * Reads new changes once and gives them to all followers. It reads on a separate connection, which is
 * opened for the first follower and closed after the last one, or on `db` if there can be no separate one
 * (see `listenBeside`). Each follower gets every change once and in order. All followers have the same
 * pace; a slower one is left behind. While the database is unavailable, it waits and retries.
 */
export class LiveChanges {
  readonly #logger = new Logger('Changes');
  /** The followers, each with the milliseconds that the others have waited for it. */
  readonly #followers = new Map<Follower, number>();
  readonly #wakeUp = new WakeUp();
  #recent = new RecentEvents({ position: 0, sequence: 0, commitTime: 0 });
  #isReading = false;
  #isAway = false;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly db: Db,
    private readonly entity: string,
  ) {}

  /** Adds a follower, which gets the changes after `seen`. Returns false if `seen` is older than the buffered events. */
  join(follower: Follower): boolean {
    if (!this.#isReading) this.#recent = new RecentEvents(follower.seen);
    const missed = this.#recent.since(follower.seen);
    if (!missed) return false;
    follower.take(toBatch(missed));
    this.#followers.set(follower, 0);
    if (!this.#isReading) this.#ended = Promise.all([this.#ended, this.#read()]);
    return true;
  }

  leave(follower: Follower): void {
    this.#followers.delete(follower);
    if (this.#followers.size === 0) this.#wakeUp.wake();
  }

  /** Resolves when there are no followers and the connection is closed. */
  async ended(): Promise<void> {
    await this.#ended;
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    const own = listenBeside(this.db, CHANNEL, () => this.#wakeUp.wake());
    const changes = createChangesFactory(own?.db ?? this.db, this.entity);
    while (this.#followers.size > 0) {
      const { found, hasMore } = await this.#readOn(changes);
      if (hasMore) continue;
      if (found) await sleep(PAUSE_MS);
      await this.#wakeUp.wait(POLL_MS);
    }
    this.#isReading = false; // set in the same turn that found no follower
    await own?.close();
  }

  async #readOn(changes: ChangesFactory): Promise<{ found: boolean; hasMore: boolean }> {
    try {
      const page = await changes.getFeedPage({ after: this.#recent.end, limit: PAGE });
      this.#isAway = false;
      for (const batch of batchesOf(page.changes.map(toFeedEvent))) await this.#give(batch);
      publishFeedLag(page.changes.at(-1)?.at);
      this.#recent.reach(page.next);
      return { found: page.changes.length > 0, hasMore: page.hasMore };
    } catch (error) {
      this.#failed(error);
      return { found: false, hasMore: false };
    }
  }

  async #give(batch: FeedBatch): Promise<void> {
    for (const follower of this.#followers.keys()) follower.take(batch);
    this.#recent.add(batch.events);
    await setImmediate(); // the sockets take the batch
    while (this.#slow().length > 0) await this.#waitFor(this.#slow());
  }

  #slow(): Follower[] {
    return [...this.#followers.keys()].filter(({ isBehind }) => isBehind);
  }

  async #waitFor(slow: Follower[]): Promise<void> {
    const began = performance.now();
    await sleep(GRACE_STEP_MS);
    for (const follower of slow) {
      const waited = this.#followers.get(follower);
      if (waited === undefined) continue; // it has left
      this.#followers.set(follower, waited + performance.now() - began);
      if (this.#followers.get(follower)! < GRACE_MS) continue;
      this.leave(follower);
      follower.leaveBehind();
    }
  }

  /** Logs the failure. No change is lost by it, because the next read starts at the same position. */
  #failed(error: unknown): void {
    const code = asDataError(error)?.code;
    // The database was restored, or the changes have been removed: clients get this error when they reconnect.
    if (code === 'cursor_expired') for (const follower of this.#followers.keys()) follower.end();
    if (this.#isAway) return;
    this.#isAway = true;
    this.#logger.warn({ message: 'new changes cannot be read', code, cause: errorCodeOf(error) });
  }
}
