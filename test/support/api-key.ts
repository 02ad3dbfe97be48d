import { hash, randomBytes } from 'node:crypto';

/** Creates an API key and its entry for AUTH_API_KEYS. */
export function apiKey(name: string, scopes: 'read' | 'write' | 'read+write') {
  const key = randomBytes(32).toString('base64url');
  return { key, entry: `${name}:${scopes}:${hash('sha256', key)}` };
}
