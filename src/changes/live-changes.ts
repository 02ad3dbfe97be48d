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

/** One to whom new changes are given. */
export interface Follower {
  /** Behind the last change that it has. */
  readonly seen: FeedPosition;
  /** Takes those events that are behind `seen`. */
  take(batch: FeedBatch): void;
  /** Whether it has not kept up with what it was given. */
  readonly isBehind: boolean;
  /** It is given nothing more: it has to catch up by itself, and may join again then. */
  leaveBehind(): void;
  end(): void;
}

/** The channel that the trigger `changes_take_position` notifies. */
const CHANNEL = 'changes';
/** When no notification comes, or it is lost. */
const POLL_MS = 1000;
/** When all is read, so that a thousand commits a second are not a thousand reads. */
const PAUSE_MS = 25;
const PAGE = 100;
/** How long the others wait for one that does not keep up, all in all, before it is left behind. */
const GRACE_MS = 250;
const GRACE_STEP_MS = 10;

/**
 * The new changes, read once and given to all who follow, however many. Reads on one connection of
 * its own, which is opened for the first follower and closed behind the last, and on `db` where there
 * can be none (see `listenBeside`). Each follower gets every change once, in order, at the pace of
 * them all; one that is slower is left behind. A database that is away is waited for.
 */
export class LiveChanges {
  readonly #logger = new Logger('Changes');
  /** Each with the milliseconds that the others have waited for it. */
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

  /** From now on gives it what comes behind `seen`; false if that is too far back to be at hand. */
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

  /** Resolves when nobody follows any more and the connection is closed. */
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
    this.#isReading = false; // in the turn that found no follower
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
    await setImmediate(); // lets the sockets take it
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

  /** Nobody has missed anything by that yet: what could not be read is read the next time. */
  #failed(error: unknown): void {
    const code = asDataError(error)?.code;
    // The database was restored, or was away for longer than changes are kept: a reader that comes back is told so.
    if (code === 'cursor_expired') for (const follower of this.#followers.keys()) follower.end();
    if (this.#isAway) return;
    this.#isAway = true;
    this.#logger.warn({ message: 'new changes cannot be read', code, cause: errorCodeOf(error) });
  }
}
