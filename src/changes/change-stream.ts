import type { Response } from 'express';
import { type FeedPosition, isBefore } from '../db/entity/change-feed.js';
import { nextTurn } from '../http/server/turns.js';
import { EventStream } from '../http/streams/event-stream.js';
import type { EventPage } from './catch-up.js';
import { feedCursor } from './feed.js';
import { type FeedBatch, toBatch } from './feed-events.js';
import type { Follower } from './live-changes.js';

/** Before the first change of any history. */
const START: FeedPosition = { position: 0, sequence: 0, commitTime: 0 };

/** One client that follows the feed. */
export class ChangeStream implements Follower {
  /** Resolves when the client or the service has ended the answer. */
  readonly closed: Promise<unknown>;
  /** Where the next page begins; undefined before the first page of one that takes all that is kept. */
  place: FeedPosition | undefined;
  #events: EventStream | undefined;
  #hasSentId = false;
  #leftBehind: (() => void) | undefined;

  constructor(
    private readonly res: Response,
    private readonly entity: string,
  ) {
    this.closed = res.destroyed ? Promise.resolve() : new Promise((end) => res.once('close', end));
  }

  get seen(): FeedPosition {
    return this.place ?? START;
  }

  get hasBegun(): boolean {
    return this.#events !== undefined;
  }

  get isOpen(): boolean {
    return !this.res.writableEnded && !this.res.destroyed;
  }

  get isBehind(): boolean {
    return this.#events?.isBehind ?? false;
  }

  /** Begins the answer, unless it has begun. A client that is cut off before the first event comes back to `place`. */
  begin(): void {
    if (this.isOpen) this.#events ??= new EventStream(this.res);
    if (this.#hasSentId || !this.place) return;
    this.#hasSentId = true;
    this.#events?.sendId(feedCursor(this.entity, this.place));
  }

  take(batch: FeedBatch): void {
    const missing = batch.events.filter((event) => isBefore(this.seen, event));
    if (missing.length === 0) return;
    const isWhole = missing.length === batch.events.length;
    this.#events?.send(isWhole ? batch.bytes : toBatch(missing).bytes);
    this.place = missing.at(-1)!;
  }

  /**
   * Sends a page for as long as the client has room for more. Resolves with whether it has now been
   * sent all that is committed. A client without room does not keep the page in memory: it continues
   * from `place` when it is drained.
   */
  async takePage({ batches, next, hasMore }: EventPage): Promise<boolean> {
    for (const batch of batches) {
      if (!this.isOpen || this.#events?.needsDrain) return false;
      this.take(batch);
      await nextTurn(); // lets the socket take it, and serves others
    }
    this.place = next;
    return !hasMore;
  }

  async drained(): Promise<void> {
    await this.#events?.drained();
  }

  leaveBehind(): void {
    this.#leftBehind?.();
  }

  /** Resolves when it is left behind and has room for more, or has ended. */
  async leftBehind(): Promise<void> {
    const left = new Promise<void>((resolve) => (this.#leftBehind = resolve));
    await Promise.race([left, this.closed]);
    await this.drained();
  }

  end(): void {
    this.begin();
    this.#events?.end();
  }
}
