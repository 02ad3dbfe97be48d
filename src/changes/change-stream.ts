import type { Response } from 'express';
import { type FeedPage, type FeedPosition, isBefore } from '../db/entity/change-feed.js';
import { EventStream } from '../http/streams/event-stream.js';
import { feedCursor } from './feed.js';
import { type FeedBatch, toBatch, toFeedEvent } from './feed-events.js';
import type { Follower } from './live-changes.js';

/** One client that follows the feed. */
export class ChangeStream implements Follower {
  seen: FeedPosition;
  readonly #events: EventStream;
  #leftBehind: (() => void) | undefined;

  /** Begins the answer, where the page begins. */
  constructor(
    res: Response,
    entity: string,
    { changes, next }: FeedPage,
    after: FeedPosition | undefined,
  ) {
    const start = changes.length === 0 ? next : after;
    this.seen = start ?? { position: 0, sequence: 0, commitTime: 0 };
    this.#events = new EventStream(res, start && feedCursor(entity, start));
  }

  get isOpen(): boolean {
    return this.#events.isOpen;
  }

  get isBehind(): boolean {
    return this.#events.isBehind;
  }

  get closed(): Promise<unknown> {
    return this.#events.closed;
  }

  take(batch: FeedBatch): void {
    const missing = batch.events.filter((event) => isBefore(this.seen, event));
    if (missing.length === 0) return;
    const isWhole = missing.length === batch.events.length;
    this.#events.send(isWhole ? batch.bytes : toBatch(missing).bytes);
    this.seen = missing.at(-1)!;
  }

  /** Sends a page as fast as the client takes it. */
  async takePage({ changes, next }: FeedPage): Promise<void> {
    for (const change of changes) {
      if (!this.isOpen) return;
      this.take(toBatch([toFeedEvent(change)]));
      await this.#events.drained();
    }
    this.seen = next;
  }

  leaveBehind(): void {
    this.#leftBehind?.();
  }

  /** Resolves when it is left behind and has room for more, or has ended. */
  async leftBehind(): Promise<void> {
    const left = new Promise<void>((resolve) => (this.#leftBehind = resolve));
    await Promise.race([left, this.closed]);
    await this.#events.drained();
  }

  end(): void {
    this.#events.end();
  }
}
