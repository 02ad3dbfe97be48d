import { hash, randomBytes } from 'node:crypto';
import { type ApiKeyEntry, formatApiKey, parseApiKeys } from '../config/api-keys.js';
import { print, type Streams } from './terminal.js';

export const KEY_SCOPES = ['read', 'write', 'read+write'];

/** A new API key: 256 random bits, and its entry for AUTH_API_KEYS. Throws for a name that an entry cannot have. */
export function createKey(name: string, scopes: string): { key: string; entry: string } {
  const key = `ps_${randomBytes(32).toString('base64url')}`;
  const entry = formatApiKey({
    name,
    scopes: scopes.split('+') as ApiKeyEntry['scopes'],
    sha256: hash('sha256', key),
  });
  if (parseApiKeys(entry)) return { key, entry };
  throw new Error(
    `${JSON.stringify(name)} cannot be the name of a key: 1 to 100 letters, digits and _ . @ - only.`,
  );
}

/** The key alone goes to standard output, so that a script can keep it without showing it. */
export function printNewKey(name: string, scopes: string, { output, errors }: Streams): void {
  const { key, entry } = createKey(name, scopes);
  print(output, key);
  print(
    errors,
    ...[
      '',
      'This is the only time that the key is shown: give it to its user now. They send it as',
      '  Authorization: Bearer <key>',
      '',
      'Add this line to the configuration of the service and start it again. It does not hold the key',
      'itself. Further keys follow on the same line, separated by commas.',
      `  AUTH_MODE=api-key`,
      `  AUTH_API_KEYS=${entry}`,
    ],
  );
}
