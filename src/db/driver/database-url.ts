import { isIP } from 'node:net';
import type { Target } from './socket.js';
import { DatabaseUrlError } from './url-error.js';
import { checkParameters, sessionSettings } from './url-parameters.js';
import { tlsOf } from './url-tls.js';

/** A parsed database URL. If it has no user, password or database, the driver finds them itself. */
export interface DatabaseUrl {
  targets: Target[];
  user?: string;
  password?: string;
  database?: string;
  /** Startup parameters. */
  settings: Record<string, string>;
  /** `connect_timeout`; 0 means no limit. */
  connectTimeoutMs?: number;
}

const EXAMPLE = 'postgres://user:password@host:5432/database';
const DEFAULT_PORT = '5432';

/**
 * Parses a URL as libpq does (PostgreSQL documentation, "Connection URIs"): several hosts, Unix sockets as
 * `%2Fdirectory` or `?host=/directory`, IPv6 in brackets, and percent-encoding in every part. Throws
 * DatabaseUrlError for anything that cannot be respected; its message contains no value of the URL.
 *
 * It does not use pg-connection-string, which accepts only one host and ignores unknown parameters.
 */
export function parseDatabaseUrl(url: unknown): DatabaseUrl {
  if (typeof url !== 'string' || url === '') {
    throw new DatabaseUrlError(`is missing: it must be a URL such as ${EXAMPLE}`);
  }
  const [, text] = /^postgres(?:ql)?:\/\/(.*)$/s.exec(url.trim()) ?? [];
  if (text === undefined) {
    const quotes = /^["']/.test(url.trim()) ? ', without quotes' : '';
    throw new DatabaseUrlError(`must be a URL such as ${EXAMPLE}${quotes}`);
  }
  const [, userInfo, hosts, path = '', query = ''] = partsOf(text);
  const [, user, password] = /^([^:]*):?(.*)$/s.exec(userInfo ?? '')!;
  const parameters = parametersOf(query);
  checkParameters(parameters);
  return {
    targets: targetsOf(hosts!, parameters),
    user: (parameters.user ?? decode(user!, 'user')) || undefined,
    password: (parameters.password ?? decode(password!, 'password')) || undefined,
    database: (parameters.dbname ?? decode(path, 'database')) || undefined,
    settings: sessionSettings(parameters),
    connectTimeoutMs: parameters.connect_timeout && Number(parameters.connect_timeout) * 1000,
  } as DatabaseUrl;
}

/** Splits the URL into user and password, hosts, path and query. */
function partsOf(text: string): string[] {
  if (/\s/.test(text)) {
    throw new DatabaseUrlError('contains a space or a line break: write a space as %20');
  }
  const parts = /^(?:([^/@]*)@)?([^/?@]*)(?:\/([^?@]*))?(?:\?([^@]*))?$/s.exec(text);
  if (parts) return parts;
  throw new DatabaseUrlError(
    'cannot be read: in the user, the password and the values, write @ as %40, / as %2F, ? as %3F and % as %25',
  );
}

function parametersOf(query: string): Record<string, string> {
  const pairs = query.split('&').filter((pair) => pair !== '');
  return Object.fromEntries(
    pairs.map((pair) => {
      const [, name, value] = /^([^=]*)=?(.*)$/s.exec(pair)!;
      return [decode(name!, 'parameters'), decode(value!, 'parameters')];
    }),
  );
}

function targetsOf(authority: string, parameters: Record<string, string>): Target[] {
  const named = authority.split(',').map(hostAndPort);
  const hosts = parameters.host?.split(',') ?? named.map(({ host }) => host);
  const ports = parameters.port?.split(',') ?? named.map(({ port }) => port);
  if (hosts.some((host) => host === '')) {
    throw new DatabaseUrlError(
      `has no host: write ${EXAMPLE}, or ?host=/var/run/postgresql for a Unix socket`,
    );
  }
  if (hosts.some(isUnclear)) {
    throw new DatabaseUrlError(
      'has a host with a colon that is not an IPv6 address: write ?host=a,b&port=1,2 and addresses without brackets',
    );
  }
  if (ports.length > 1 && ports.length !== hosts.length) {
    throw new DatabaseUrlError('must give one port for all hosts, or one for each');
  }
  return hosts.map((host, index) => {
    const port = portOf(ports[index] ?? ports[0]!);
    const directory = host.startsWith('@') ? `\0${host.slice(1)}` : host;
    return /^[/@]/.test(host)
      ? { host, port, path: `${directory}/.s.PGSQL.${port}`, tls: { mode: 'disable' } }
      : { host, port, tls: tlsOf(parameters) };
  });
}

/** True for a host of the parameter `host` with a port or in brackets, which no name server knows. */
function isUnclear(host: string): boolean {
  return host.includes(':') && !/^[/@]/.test(host) && isIP(host) === 0;
}

function hostAndPort(text: string): { host: string; port: string } {
  const [, bracketed, name, port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/s.exec(text) ?? [];
  if (bracketed === undefined && name === undefined) {
    throw new DatabaseUrlError('has a host that cannot be read: write IPv6 addresses in brackets');
  }
  return { host: decode(bracketed ?? name!, 'host'), port: port ?? '' };
}

function portOf(text: string): number {
  const port = Number(text || DEFAULT_PORT);
  if (/^\d*$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new DatabaseUrlError(
    'has a port that is not a number from 1 to 65535: in a password, write / as %2F and @ as %40',
  );
}

function decode(text: string, part: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes('\0')) return decoded;
  } catch {
    // The error below does not contain the text.
  }
  throw new DatabaseUrlError(
    `has a % in its ${part} that does not begin an escape: write % as %25`,
  );
}
