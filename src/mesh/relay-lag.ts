import { channel } from 'node:diagnostics_channel';
import type { Db } from '../db/connection.js';

/** Published when the relay has read the feed or has published events. */
export interface RelayEvent {
  /** The database of the application that relays, because a process may have several applications. */
  db: Db;
  /** True if this instance has the lease. */
  isHolder: boolean;
  /** The time of the oldest unpublished change, in milliseconds since 1970. */
  pendingSince?: number;
  /** The number of events that it has just published. */
  published: number;
}

export const RELAY_CHANNEL = 'projects-service:relay';

const relay = channel(RELAY_CHANNEL);

export function publishRelayEvent(event: RelayEvent): void {
  if (relay.hasSubscribers) relay.publish(event);
}
