import pLimit from 'p-limit';
import type { FeedPage, FeedPosition } from '../db/entity/change-feed.js';
import type { ChangesFactory } from '../db/entity/changes.factory.js';
import { batchesOf, type FeedBatch, toFeedEvent } from './feed-events.js';

const PAGE = 100;
/** Small, so that a thousand streams that catch up leave connections to ordinary requests. */
const CONCURRENT_READS = 2;
const MAX_CACHED_PAGES = 8;
const CACHED_MS = 1000;

/** A page that is encoded for streams. */
export interface EventPage extends Pick<FeedPage, 'next' | 'hasMore'> {
  batches: FeedBatch[];
}

interface CachedPage {
  key: string;
  page: Promise<EventPage>;
  /** The keys of all its changes but the last: a stream may continue inside the page from there. */
  inside: Set<string>;
}

/**
 * Reads pages for streams that catch up with the feed: two at a time, in the order of the requests.
 * Streams at the same place share one page, which is read and encoded once.
 */
export class CatchUp {
  readonly #limit = pLimit(CONCURRENT_READS);
  readonly #cached: CachedPage[] = [];
  #lastEnd: { startedAt: number; end: Promise<FeedPosition> } | undefined;

  constructor(private readonly changes: ChangesFactory) {}

  /** Runs the work of one stream when it is its turn. */
  async turn<T>(work: () => Promise<T>): Promise<T> {
    return await this.#limit(work);
  }

  /** Returns the page after a place, or the first page. Throws the errors of `getFeedPage`. */
  async pageAfter(place: FeedPosition | undefined): Promise<EventPage> {
    const key = keyOf(place);
    const cached = this.#cached.find((other) => other.key === key || other.inside.has(key));
    return await (cached?.page ?? this.#read(place));
  }

  /** Returns the end of the feed, read at or after `askedAt` (performance.now()). */
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
    const cached = { key: keyOf(after), page: this.#encoded(after, inside), inside };
    this.#cached.push(cached);
    if (this.#cached.length > MAX_CACHED_PAGES) this.#cached.shift();
    // The last page of the feed grows with each commit, so it is not cached.
    await cached.page.then(
      ({ hasMore }) =>
        hasMore ? setTimeout(() => this.#drop(cached), CACHED_MS).unref() : this.#drop(cached),
      () => this.#drop(cached),
    );
    return await cached.page;
  }

  async #encoded(after: FeedPosition | undefined, inside: Set<string>): Promise<EventPage> {
    const { changes, next, hasMore } = await this.changes.getFeedPage({ after, limit: PAGE });
    for (const change of changes.slice(0, -1)) inside.add(keyOf(change));
    return { batches: batchesOf(changes.map(toFeedEvent)), next, hasMore };
  }

  #drop(page: CachedPage): void {
    const index = this.#cached.indexOf(page);
    if (index >= 0) this.#cached.splice(index, 1);
  }
}

/** The key contains the time of the commit, which differs from that of the same position before a restore. */
function keyOf(place: FeedPosition | undefined): string {
  return place ? `${place.position} ${place.sequence} ${place.commitTime}` : '';
}
