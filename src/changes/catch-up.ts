import pLimit from 'p-limit';
import type { FeedPage, FeedPosition } from '../db/entity/change-feed.js';
import type { ChangesFactory } from '../db/entity/changes.factory.js';
import { batchesOf, type FeedBatch, toFeedEvent } from './feed-events.js';

const PAGE = 100;
/** Few, so that a thousand streams that catch up leave the connections to ordinary requests. */
const READS_AT_ONCE = 2;
const MAX_KEPT_PAGES = 8;
const KEPT_MS = 1000;

/** A page as streams send it. */
export interface EventPage extends Pick<FeedPage, 'next' | 'hasMore'> {
  batches: FeedBatch[];
}

interface KeptPage {
  key: string;
  page: Promise<EventPage>;
  /** The place of every change of it but the last: a stream may continue from there with this page. */
  inside: Set<string>;
}

/**
 * The reads of streams that catch up with the feed: two at a time, first come, first served. Streams
 * at the same place get the same page, which is read and encoded once.
 */
export class CatchUp {
  readonly #limit = pLimit(READS_AT_ONCE);
  readonly #kept: KeptPage[] = [];
  #lastEnd: { startedAt: number; end: Promise<FeedPosition> } | undefined;

  constructor(private readonly changes: ChangesFactory) {}

  /** Runs the work of one stream when it is its turn. */
  async turn<T>(work: () => Promise<T>): Promise<T> {
    return await this.#limit(work);
  }

  /** The page behind a place, or the first page. Throws what `getFeedPage` throws. */
  async pageAfter(place: FeedPosition | undefined): Promise<EventPage> {
    const key = keyOf(place);
    const kept = this.#kept.find((other) => other.key === key || other.inside.has(key));
    return await (kept?.page ?? this.#read(place));
  }

  /** The end of the feed, not as it was before `askedAt` (by performance.now()). */
  async endSince(askedAt: number): Promise<FeedPosition> {
    if (!this.#lastEnd || this.#lastEnd.startedAt < askedAt) {
      this.#lastEnd = { startedAt: performance.now(), end: this.changes.getFeedEnd() };
    }
    const { end } = this.#lastEnd;
    try {
      return await end;
    } catch (error) {
      if (this.#lastEnd?.end === end) this.#lastEnd = undefined; // the next one reads again
      throw error;
    }
  }

  async #read(after: FeedPosition | undefined): Promise<EventPage> {
    const inside = new Set<string>();
    const kept = { key: keyOf(after), page: this.#encoded(after, inside), inside };
    this.#kept.push(kept);
    if (this.#kept.length > MAX_KEPT_PAGES) this.#kept.shift();
    // What comes behind the last page changes with each commit, so that page is not kept.
    await kept.page.then(
      ({ hasMore }) =>
        hasMore ? setTimeout(() => this.#drop(kept), KEPT_MS).unref() : this.#drop(kept),
      () => this.#drop(kept),
    );
    return await kept.page;
  }

  async #encoded(after: FeedPosition | undefined, inside: Set<string>): Promise<EventPage> {
    const { changes, next, hasMore } = await this.changes.getFeedPage({ after, limit: PAGE });
    for (const change of changes.slice(0, -1)) inside.add(keyOf(change));
    return { batches: batchesOf(changes.map(toFeedEvent)), next, hasMore };
  }

  #drop(kept: KeptPage): void {
    const index = this.#kept.indexOf(kept);
    if (index >= 0) this.#kept.splice(index, 1);
  }
}

/** With the time of the commit, which tells a place from the same place in a history before a restore. */
function keyOf(place: FeedPosition | undefined): string {
  return place ? `${place.position} ${place.sequence} ${place.commitTime}` : '';
}
