import type { Environment } from './environment.js';
import { type MeshAddress, parseMeshUrl } from './mesh-url.js';
import { splitUrls } from './texts.js';

/** Parses RATE_LIMIT; undefined if there is no limit. */
export function rateLimitOf({ RATE_LIMIT }: Environment) {
  if (RATE_LIMIT === undefined) return undefined;
  const [requests, seconds] = RATE_LIMIT.split('/').map(Number) as [number, number];
  return { requests, seconds };
}

/** Returns the address for messages; undefined without MESH_TRANSPORT. The environment must be validated. */
export function meshAddressOf({ MESH_TRANSPORT, MESH_URL }: Environment): MeshAddress | undefined {
  return MESH_TRANSPORT && (parseMeshUrl(MESH_TRANSPORT, MESH_URL!) as MeshAddress);
}

/** Returns the URLs of DATABASE_REPLICA_URLS. */
export function replicaUrlsOf({ DATABASE_REPLICA_URLS }: Environment): string[] {
  return DATABASE_REPLICA_URLS === undefined ? [] : splitUrls(DATABASE_REPLICA_URLS);
}
