/** One entry of AUTH_API_KEYS. The key itself is not stored anywhere. */
export interface ApiKeyEntry {
  name: string;
  scopes: ('read' | 'write')[];
  /** SHA-256 of the key, in lower-case hex. */
  sha256: string;
}

/** `name:read+write:64 hex digits` */
const ENTRY = /^([\w.@-]{1,100}):(read|write|read\+write|write\+read):([0-9a-f]{64})$/i;

/** Parses AUTH_API_KEYS; undefined if an entry is malformed, or a name or key occurs twice. */
export function parseApiKeys(text: string): ApiKeyEntry[] | undefined {
  const matches = text.split(',').map((entry) => ENTRY.exec(entry.trim()));
  const entries: ApiKeyEntry[] = [];
  for (const match of matches) {
    if (!match) return undefined;
    const [, name, scopes, sha256] = match as unknown as [string, string, string, string];
    entries.push({
      name,
      scopes: scopes.toLowerCase().split('+') as ApiKeyEntry['scopes'],
      sha256: sha256.toLowerCase(),
    });
  }
  const names = new Set(entries.map(({ name }) => name));
  const keys = new Set(entries.map(({ sha256 }) => sha256));
  return names.size === entries.length && keys.size === entries.length ? entries : undefined;
}

/** Formats an entry for AUTH_API_KEYS. */
export function formatApiKey({ name, scopes, sha256 }: ApiKeyEntry): string {
  return `${name}:${scopes.join('+')}:${sha256}`;
}
