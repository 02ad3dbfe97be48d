export const MESH_TRANSPORTS = ['tcp', 'nats'] as const;

export type MeshAddress =
  | { transport: 'tcp'; host: string; port: number }
  | { transport: 'nats'; servers: string[]; user?: string; pass?: string; tls: boolean };

/**
 * Parses MESH_URL for a transport: `tcp://host:port` is the address to listen on; `nats://host:port` may
 * have a user and a password, and several may be separated by commas. Returns a string if the URL is
 * wrong: the fault, without the URL, which may contain a password.
 */
export function parseMeshUrl(
  transport: (typeof MESH_TRANSPORTS)[number],
  text: string,
): MeshAddress | string {
  const texts = text.split(',').map((part) => part.trim());
  const urls = texts.map((part) => (URL.canParse(part) ? new URL(part) : undefined));
  return transport === 'tcp' ? tcpAddress(urls) : natsAddress(urls);
}

function tcpAddress(urls: (URL | undefined)[]): MeshAddress | string {
  const [url] = urls;
  const isPlain = url?.protocol === 'tcp:' && !/./.test(url.username + url.search + url.hash);
  if (urls.length > 1 || !isPlain || url.hostname === '' || url.port === '') {
    return 'must be the address to listen on, such as tcp://host:port, with MESH_TRANSPORT=tcp';
  }
  return { transport: 'tcp', host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) };
}

function natsAddress(urls: (URL | undefined)[]): MeshAddress | string {
  const known = urls.filter((url) => url !== undefined);
  const [first] = known;
  const isNats = (url: URL) => /^(nats|tls):$/.test(url.protocol) && url.hostname !== '';
  if (!first || known.length < urls.length || !known.every(isNats)) {
    return 'must be one or more URLs such as nats://host:port or tls://host:port, separated by commas, with MESH_TRANSPORT=nats';
  }
  if (!isDecodable(first.username) || !isDecodable(first.password)) {
    return 'must have no % in its user and password except in an escape: write % as %25';
  }
  const isSame = (url: URL) =>
    (url.username === '' && url.password === '') ||
    (url.username === first.username && url.password === first.password);
  if (!known.every((url) => url.protocol === first.protocol && isSame(url))) {
    return 'must have the same scheme, user and password for all its servers';
  }
  return {
    transport: 'nats',
    servers: known.map(({ hostname, port }) => `${hostname}:${port || 4222}`),
    tls: first.protocol === 'tls:',
    ...(first.username !== '' && {
      user: decodeURIComponent(first.username),
      pass: decodeURIComponent(first.password),
    }),
  };
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
