import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import type { TlsSettings } from './socket.js';
import { DatabaseUrlError } from './url-error.js';

type Parameters = Record<string, string>;

const MODES = ['disable', 'allow', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full'];

/**
 * Returns the TLS settings from the parameters `ssl…` (PostgreSQL documentation, "SSL Support"). There are two
 * differences from libpq: without `sslmode` there is no TLS, and `verify-full` without `sslrootcert` trusts the
 * authorities that Node trusts. `allow` means `prefer`, and `no-verify` of other drivers means `require`.
 */
export function tlsOf(parameters: Parameters): TlsSettings {
  const mode = modeOf(parameters);
  if (mode === 'disable') return { mode };
  const files = filesOf(parameters);
  if (mode === 'allow' || mode === 'prefer') {
    return { mode: 'prefer', options: { ...files, rejectUnauthorized: false } };
  }
  if (mode === 'no-verify' || (mode === 'require' && !files.ca)) {
    return { mode: 'require', options: { ...files, rejectUnauthorized: false } };
  }
  if (mode === 'verify-full') {
    return { mode: 'require', options: { ...files, rejectUnauthorized: true } };
  }
  if (!files.ca) {
    throw new DatabaseUrlError(
      'has sslmode=verify-ca, which needs a certificate file in sslrootcert',
    );
  }
  const checkServerIdentity = () => undefined; // this mode checks only the authority
  return { mode: 'require', options: { ...files, rejectUnauthorized: true, checkServerIdentity } };
}

function modeOf(parameters: Parameters): string {
  const { sslmode, ssl, sslrootcert } = parameters;
  const fromSsl = ssl === undefined ? undefined : isOn(ssl) ? 'require' : 'disable';
  const mode = sslmode ?? fromSsl ?? (sslrootcert === 'system' ? 'verify-full' : 'disable');
  if (!MODES.includes(mode)) {
    throw new DatabaseUrlError(`has an sslmode that is not one of ${MODES.join(', ')}`);
  }
  const file = ['sslrootcert', 'sslcert', 'sslkey', 'sslcrl'].find((name) => parameters[name]);
  if (mode === 'disable' && !sslmode && file) {
    throw new DatabaseUrlError(
      `has "${file}" and no sslmode: add sslmode=verify-full or another sslmode`,
    );
  }
  if (sslrootcert === 'system' && mode !== 'verify-full') {
    throw new DatabaseUrlError('has sslrootcert=system, which needs sslmode=verify-full');
  }
  return mode;
}

function isOn(ssl: string): boolean {
  if (['true', '1'].includes(ssl)) return true;
  if (['false', '0'].includes(ssl)) return false;
  throw new DatabaseUrlError(
    'has a parameter "ssl" that is neither true nor false: write sslmode instead',
  );
}

function filesOf(parameters: Parameters): tls.ConnectionOptions {
  const { sslrootcert, sslpassword } = parameters;
  const read = (name: string) => {
    if (!parameters[name]) return undefined;
    try {
      return readFileSync(parameters[name]);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new DatabaseUrlError(`names a file in ${name} that cannot be read (${code})`);
    }
  };
  return checked({
    ...(sslrootcert && sslrootcert !== 'system' && { ca: read('sslrootcert') }),
    ...(parameters.sslcert && { cert: read('sslcert') }),
    ...(parameters.sslkey && { key: read('sslkey') }),
    ...(parameters.sslcrl && { crl: read('sslcrl') }),
    ...(sslpassword && { passphrase: sslpassword }),
  });
}

/** Fails at the start if the contents cannot be used, and not at each connection. */
function checked(files: tls.ConnectionOptions): tls.ConnectionOptions {
  try {
    if (files.ca) new X509Certificate(files.ca as Buffer); // Node ignores a file without certificates
    tls.createSecureContext(files);
    return files;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new DatabaseUrlError(
      `names a file in sslrootcert, sslcert, sslkey or sslcrl whose content cannot be used (${code})`,
    );
  }
}
