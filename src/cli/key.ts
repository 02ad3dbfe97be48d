import { hash, randomBytes } from 'node:crypto';
import { type ApiKeyEntry, formatApiKey, parseApiKeys } from '../config/api-keys.js';
import { print, type Streams } from './terminal.js';

export const KEY_SCOPES = ['read', 'write', 'read+write'];

/** Creates an API key of 256 random bits and its entry for AUTH_API_KEYS. Throws if the name is not valid. */
export function createKey(name: string, scopes: string): { key: string; entry: string } {
  const key = `ps_${randomBytes(32).toString('base64url')}`;
  const entry = formatApiKey({
    name,
    scopes: scopes.split('+') as ApiKeyEntry['scopes'],
    sha256: hash('sha256', key),
  });
  if (parseApiKeys(entry)) return { key, entry };
  throw new Error(
    `${JSON.stringify(name)} cannot be the name of a key: use 1 to 100 letters, digits and the characters _ . @ -`,
  );
}

/** Prints only the key to standard output, so that a script can store it. The instructions go to standard error. */
export function printNewKey(name: string, scopes: string, { output, errors }: Streams): void {
  const { key, entry } = createKey(name, scopes);
  print(output, key);
  print(
    errors,
    ...[
      '',
      'The key is shown only once: give it to its user now. The user sends this header:',
      '  Authorization: Bearer <key>',
      '',
      'Add these settings to the configuration of the service and restart it. The entry contains a hash, not the',
      'key itself. Separate several entries with commas.',
      `  AUTH_MODE=api-key`,
      `  AUTH_API_KEYS=${entry}`,
    ],
  );
}
