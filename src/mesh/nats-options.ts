import type { MeshAddress } from '../config/mesh-url.js';

const CONNECT_TIMEOUT_MS = 2000;

/** Returns the options of a NATS connection that reconnects by itself after any outage. */
export function natsOptions(address: Extract<MeshAddress, { transport: 'nats' }>, name: string) {
  const { servers, user, pass, tls } = address;
  return {
    servers,
    name,
    timeout: CONNECT_TIMEOUT_MS,
    maxReconnectAttempts: -1,
    ...(user !== undefined && { user, pass }),
    ...(tls && { tls: {} }),
  };
}
