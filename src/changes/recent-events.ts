import { type FeedPosition, isBefore } from '../db/entity/change-feed.js';
import type { FeedEvent } from './feed-events.js';

const MAX_BYTES = 1024 * 1024;

/** A buffer of the latest events, up to a megabyte, for streams that join slightly later. */
export class RecentEvents {
  #events: FeedEvent[] = [];
  #bytes = 0;
  /** All events after this position are in the buffer. */
  #start: FeedPosition;
  #end: FeedPosition;

  constructor(start: FeedPosition) {
    this.#start = this.#end = start;
  }

  /** The position up to which events were sent. */
  get end(): FeedPosition {
    return this.#end;
  }

  /** Returns the events after a position; undefined if the position is older than the buffer. */
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

  /** Moves the end forward when there are no more events up to this position. */
  reach(position: FeedPosition): void {
    this.#end = position;
  }
}
