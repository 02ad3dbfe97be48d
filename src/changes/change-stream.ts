import type { Response } from 'express';
import { type FeedPosition, isBefore } from '../db/entity/change-feed.js';
import { nextTurn } from '../http/streams/turns.js';
import { EventStream } from '../http/streams/event-stream.js';
import type { EventPage } from './catch-up.js';
import { feedCursor } from './feed.js';
import { type FeedBatch, toBatch } from './feed-events.js';
import type { Follower } from './live-changes.js';

/** The position before the first change of any history. */
const START: FeedPosition = { position: 0, sequence: 0, commitTime: 0 };

/** The stream of one client that follows the feed. */
export class ChangeStream implements Follower {
  /** Resolves when the client or the service has closed the stream. */
  readonly closed: Promise<unknown>;
  /** The position after which the next page begins; undefined before the first page of a stream from the start. */
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

  /** Begins the answer if it has not begun. A client that is disconnected before the first event resumes at `place`. */
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
   * Sends the batches of a page while the connection has room. Resolves with true if the client now has
   * everything that is committed. If the connection is full, the page is not kept in memory: the stream
   * continues from `place` when it is drained.
   */
  async takePage({ batches, next, hasMore }: EventPage): Promise<boolean> {
    for (const batch of batches) {
      if (!this.isOpen || this.#events?.needsDrain) return false;
      this.take(batch);
      await nextTurn(); // the socket takes the batch, and other requests are served
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

  /** Resolves when `leaveBehind` was called and the connection has room again, or when the stream is closed. */
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
