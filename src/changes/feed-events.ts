import type { FeedChange, FeedPosition } from '../db/entity/change-feed.js';
import { eventBytes } from '../http/streams/event-stream.js';
import { toChangeDto } from './feed.js';

/** A change that is encoded for streams. */
export interface FeedEvent extends FeedPosition {
  bytes: Buffer;
}

/** Events that are sent together. All streams share the same bytes. */
export interface FeedBatch {
  events: FeedEvent[];
  bytes: Buffer;
}

const BATCH_BYTES = 64 * 1024;

/** Encodes a change: the name of the event is the action, and its id is the cursor. */
export function toFeedEvent(change: FeedChange): FeedEvent {
  const { position, sequence, commitTime } = change;
  const data = toChangeDto(change);
  return { position, sequence, commitTime, bytes: eventBytes(data.cursor, data.action, data) };
}

export function toBatch(events: FeedEvent[]): FeedBatch {
  return { events, bytes: Buffer.concat(events.map(({ bytes }) => bytes)) };
}

/** Groups the events into batches of about 64 KiB. */
export function batchesOf(events: FeedEvent[]): FeedBatch[] {
  const batches: FeedEvent[][] = [];
  let size = BATCH_BYTES;
  for (const event of events) {
    if (size >= BATCH_BYTES) {
      batches.push([]);
      size = 0;
    }
    size += event.bytes.length;
    batches.at(-1)!.push(event);
  }
  return batches.map(toBatch);
}
