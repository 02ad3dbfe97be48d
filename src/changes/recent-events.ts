import { type FeedPosition, isBefore } from '../db/entity/change-feed.js';
import type { FeedEvent } from './feed-events.js';

const MAX_BYTES = 1024 * 1024;

/** The last events that were given out, up to a megabyte of them, for those who join a moment late. */
export class RecentEvents {
  #events: FeedEvent[] = [];
  #bytes = 0;
  /** Behind which all events are at hand. */
  #start: FeedPosition;
  #end: FeedPosition;

  constructor(start: FeedPosition) {
    this.#start = this.#end = start;
  }

  /** Up to which events were given out. */
  get end(): FeedPosition {
    return this.#end;
  }

  /** Those behind a position; undefined when it is too far back. */
  since(position: FeedPosition): FeedEvent[] | undefined {
    if (isBefore(position, this.#start)) return undefined;
    return this.#events.filter((event) => isBefore(position, event));
  }

  add(events: FeedEvent[]): void {
    for (const event of events) {
      this.#events.push(event);
      this.#bytes += event.bytes.length;
      this.#end = event;
    }
    let dropped = 0;
    while (this.#bytes > MAX_BYTES) {
      this.#start = this.#events[dropped]!;
      this.#bytes -= this.#events[dropped++]!.bytes.length;
    }
    this.#events.splice(0, dropped);
  }

  /** Says that there is nothing more up to here. */
  reach(position: FeedPosition): void {
    this.#end = position;
  }
}
