import dns from 'node:dns';
import net from 'node:net';
import tls from 'node:tls';

/** The address of a server and its TLS settings. */
export interface Target {
  host: string;
  port: number;
  /** A Unix socket, instead of host and port. */
  path?: string;
  tls: TlsSettings;
}

export interface TlsSettings {
  /** With `prefer`, the connection has no TLS if the server does not support it. */
  mode: 'disable' | 'prefer' | 'require';
  options?: tls.ConnectionOptions;
}

/**
 * The system repeats a lost connection request after 1, 3 and 7 seconds, which may be long after an outage. With
 * a new request every second, the connection succeeds within a second of the server's return.
 */
const CONNECT_RETRY_MS = 1000;
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const SSL_ACCEPTED = 'S';

/**
 * Opens a socket to a server, encrypted if the target requires it. `onSocket` gets each socket that is created
 * meanwhile: destroying the latest one aborts the attempt. Addresses in `refused` are not tried. Rejects with the
 * error of the socket.
 */
export async function openSocket(
  target: Target,
  refused: ReadonlySet<string>,
  onSocket: (socket: net.Socket) => void,
): Promise<net.Socket> {
  const { host, port, path } = target;
  const lookup = refused.size > 0 ? lookupWithout(refused) : undefined;
  for (;;) {
    const socket = net.connect(path ? { path } : { host, port, noDelay: true, lookup });
    onSocket(socket);
    if (!(await isHeard(socket))) continue;
    return target.tls.mode === 'disable' ? socket : await encrypt(socket, target, onSocket);
  }
}

/**
 * True if a server or a pooler accepts connections at the target. Both answer the request for TLS immediately, even
 * if they are busy or have no TLS. A frozen one, or one behind a broken network, does not answer.
 */
export async function isListening({ host, port, path }: Target, timeoutMs: number) {
  const socket = net.connect(path ? { path } : { host, port });
  const expired = setTimeout(() => socket.destroy(), timeoutMs);
  try {
    socket.write(SSL_REQUEST);
    return /^[SN]/.test(String(await next(socket, 'data')));
  } catch {
    return false;
  } finally {
    clearTimeout(expired);
    socket.on('error', () => {}).destroy();
  }
}

/** Resolves a host name without the refused addresses, because a name may have a primary and its standbys. */
function lookupWithout(refused: ReadonlySet<string>): net.LookupFunction {
  return (name, options, onResult) =>
    dns.lookup(name, { ...options, all: true }, (error, all) => {
      const [first, ...others] = error ? [] : all.filter(({ address }) => !refused.has(address));
      if (!first) return onResult(error ?? new Error('The host name has no other address.'), []);
      if (options.all) onResult(null, [first, ...others]);
      else onResult(null, first.address, first.family);
    });
}

/** Resolves with true when connected; with false, and destroys the socket, after a second without an answer. */
async function isHeard(socket: net.Socket): Promise<boolean> {
  let unheard: NodeJS.Timeout | undefined;
  let isUnheard = false;
  // The second begins with the connection request, because the name server may be slow.
  socket.on('connectionAttempt', () => {
    clearTimeout(unheard);
    unheard = setTimeout(() => {
      isUnheard = true;
      socket.destroy();
    }, CONNECT_RETRY_MS);
  });
  try {
    await next(socket, 'connect');
    return true;
  } catch (error) {
    if (isUnheard) return false;
    throw error;
  } finally {
    clearTimeout(unheard);
  }
}

/** Requests TLS and encrypts the socket (PostgreSQL documentation, "SSL Session Encryption"). */
async function encrypt(
  socket: net.Socket,
  { host, tls: { mode, options } }: Target,
  onSocket: (socket: net.Socket) => void,
): Promise<net.Socket> {
  socket.write(SSL_REQUEST);
  const answer = String(await next(socket, 'data'));
  // More than one letter would be text that an attacker has injected before the encrypted part (CVE-2021-23222).
  if (answer !== SSL_ACCEPTED && !(answer === 'N' && mode === 'prefer')) {
    socket.destroy();
    throw answer === 'N' ? noTls() : notPostgresql();
  }
  if (answer !== SSL_ACCEPTED) return socket;
  const servername = net.isIP(host) ? undefined : host;
  const secured = tls.connect({ socket, host, servername, ...options });
  onSocket(secured);
  await next(secured, 'secureConnect');
  return secured;
}

/** The codes are explained in ../explain-error.ts. */
function noTls(): Error {
  return Object.assign(new Error('the server does not accept TLS'), { code: 'NO_TLS' });
}

export function notPostgresql(): Error {
  const message = 'the server does not answer like a PostgreSQL server';
  return Object.assign(new Error(message), { code: 'NOT_POSTGRESQL' });
}

/** Resolves with the argument of the event; rejects if the socket fails or closes before. */
function next(socket: net.Socket, event: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('The connection was closed.'));
    const settle = (how: (value: unknown) => void) => (value: unknown) => {
      socket.off(event, onEvent).off('error', onError).off('close', onClose);
      how(value);
    };
    const onEvent = settle(resolve);
    const onError = settle(reject);
    socket.on(event, onEvent).on('error', onError).on('close', onClose);
  });
}
