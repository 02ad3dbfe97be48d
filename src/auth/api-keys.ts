import { hash } from 'node:crypto';
import type { ApiKeyEntry } from '../config/api-keys.js';
import type { Caller, Recognise } from './caller.js';

/**
 * Authenticates API keys by their SHA-256.
 *
 * The lookup in a Map does not take constant time. Its timing could reveal at most a part of the digest
 * of a guessed key. This does not help to find a random key of 256 bits.
 */
export function apiKeys(entries: readonly ApiKeyEntry[]): Recognise {
  const callers = new Map<string, Caller>(
    entries.map(({ name, scopes, sha256 }) => [sha256, { sub: name, scopes: new Set(scopes) }]),
  );
  return (key) => callers.get(hash('sha256', key));
}
