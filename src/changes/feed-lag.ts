import { channel } from 'node:diagnostics_channel';

/** Published after changes have been sent to the streams. */
export interface FeedEventLag {
  /** The time from the last change to its sending. */
  ms: number;
}

export const FEED_CHANNEL = 'projects-service:feed';

const feed = channel(FEED_CHANNEL);

export function publishFeedLag(at: Date | string | undefined): void {
  if (at === undefined || !feed.hasSubscribers) return;
  feed.publish({ ms: Math.max(0, Date.now() - new Date(at).getTime()) } satisfies FeedEventLag);
}
