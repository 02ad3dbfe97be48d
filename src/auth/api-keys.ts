import { hash } from 'node:crypto';
import type { ApiKeyEntry } from '../config/api-keys.js';
import type { Caller, Recognise } from './caller.js';

/**
 * Recognises API keys by their SHA-256.
 *
 * The look-up in a Map does not take constant time. What its time could tell is a part of the
 * digest of a guess, which does not help to find a random key of 256 bits.
 */
export function apiKeys(entries: readonly ApiKeyEntry[]): Recognise {
  const callers = new Map<string, Caller>(
    entries.map(({ name, scopes, sha256 }) => [sha256, { sub: name, scopes: new Set(scopes) }]),
  );
  return (key) => callers.get(hash('sha256', key));
}
