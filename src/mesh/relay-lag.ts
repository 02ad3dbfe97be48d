import { channel } from 'node:diagnostics_channel';
import type { Db } from '../db/connection.js';

/** Published when the relay has looked at the feed, or has published. */
export interface RelayEvent {
  /** Of the application that relays: there may be several in a process. */
  db: Db;
  /** Whether this instance has the lease. */
  isHolder: boolean;
  /** The time of the first change that is not published, in milliseconds since 1970. */
  pendingSince?: number;
  /** How many events it has just published. */
  published: number;
}

export const RELAY_CHANNEL = 'projects-service:relay';

const relay = channel(RELAY_CHANNEL);

export function publishRelayEvent(event: RelayEvent): void {
  if (relay.hasSubscribers) relay.publish(event);
}
