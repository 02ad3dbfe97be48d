import { isIP } from 'node:net';
import { Transform } from 'class-transformer';
import { IsIn, IsInt, Max, Min, ValidateBy } from 'class-validator';
import { parseDatabaseUrl } from '../db/driver/database-url.js';
import { DatabaseUrlError } from '../db/driver/url-error.js';
import { parseApiKeys } from './api-keys.js';
import { isLoopback, listOf, splitUrls } from './texts.js';

export function OneOf(values: readonly string[]): PropertyDecorator {
  return IsIn(values, { message: `must be ${values.join(' or ')}` });
}

/** A whole number that consists only of digits: `1e2`, `0x10` and ` 1` are faults. */
export function WholeNumber(min: number, max: number): PropertyDecorator {
  const message = `must be a whole number from ${min} to ${max}`;
  return (target, key) => {
    Transform(({ value }) => (/^\d+$/.test(String(value)) ? Number(value) : (value as unknown)))(
      target,
      key,
    );
    IsInt({ message })(target, key);
    Min(min, { message })(target, key);
    Max(max, { message })(target, key);
  };
}

/** A database URL. The message does not contain the URL, which may have a password. */
export function DatabaseUrl(): PropertyDecorator {
  return ValidateBy({
    name: 'databaseUrl',
    validator: {
      validate: (value) => faultOf(value) === undefined,
      defaultMessage: (args) => faultOf(args?.value) ?? '',
    },
  });
}

/** URLs separated by commas. The message has the first fault, without the URL. */
export function ReplicaUrls(): PropertyDecorator {
  const faultIn = (value: unknown) => {
    const faults = splitUrls(value as string).map((url) => replicaFaultOf(url));
    const n = faults.findIndex((fault) => fault !== undefined);
    return n < 0 ? undefined : `must be URLs separated by commas: URL ${n + 1} ${faults[n]}`;
  };
  return ValidateBy({
    name: 'replicaUrls',
    validator: {
      validate: (value) => faultIn(value) === undefined,
      defaultMessage: (args) => faultIn(args?.value) ?? '',
    },
  });
}

export function ApiKeys(): PropertyDecorator {
  return ValidateBy(
    {
      name: 'apiKeys',
      validator: { validate: (value) => typeof value === 'string' && !!parseApiKeys(value) },
    },
    {
      message:
        'must be entries such as name:read+write:<SHA-256 of the key, 64 hex digits>, separated by commas, without a duplicate name or key; npm run cli -- key create NAME creates an entry',
    },
  );
}

/** A value for Express's setting `trust proxy`. */
export function TrustedProxies(): PropertyDecorator {
  const isProxy = (proxy: string) => {
    const [, address = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(proxy.trim()) ?? [];
    const most = { 0: 0, 4: 32, 6: 128 }[isIP(address)]!;
    const isNetwork = most > 0 && (bits === undefined || (+bits >= 1 && +bits <= most));
    return isNetwork || ['loopback', 'linklocal', 'uniquelocal'].includes(proxy.trim());
  };
  return ValidateBy(
    {
      name: 'trustedProxies',
      validator: {
        validate: (value) =>
          typeof value === 'string' &&
          (/^(true|false|\d{1,2})$/.test(value) || value.split(',').every(isProxy)),
      },
    },
    {
      message: 'must be true, false, a number of proxies, or addresses such as 10.0.0.0/8,loopback',
    },
  );
}

/** The URL of a JWK Set. It must be https, because over plain HTTP an attacker could insert keys. */
export function KeySetUrl(): PropertyDecorator {
  const validate = (value: unknown) => {
    if (typeof value !== 'string' || !URL.canParse(value)) return false;
    const { protocol, hostname, username, password } = new URL(value);
    const host = hostname.replace(/^\[|\]$/g, '');
    if (username !== '' || password !== '') return false;
    return protocol === 'https:' || (protocol === 'http:' && isLoopback(host));
  };
  return ValidateBy(
    { name: 'keySetUrl', validator: { validate } },
    {
      message:
        'must be an https URL without a user name; http is accepted only for a loopback address',
    },
  );
}

export function Origins(): PropertyDecorator {
  const isOrigin = (text: string) => URL.canParse(text) && new URL(text).origin === text;
  const validate = (value: unknown) => listOf(value as string).every(isOrigin);
  return ValidateBy(
    { name: 'origins', validator: { validate } },
    { message: 'must be origins such as https://app.example.org, separated by commas' },
  );
}

function replicaFaultOf(url: string): string | undefined {
  // Such a comma would be the end of the name of a database that does not exist.
  if (url.endsWith(',')) return 'ends with a comma';
  const fault = faultOf(url);
  if (fault) return fault;
  const several = parseDatabaseUrl(url).targets.length > 1;
  return several ? 'names several hosts: write a separate URL for each replica' : undefined;
}

function faultOf(value: unknown): string | undefined {
  try {
    parseDatabaseUrl(value);
    return undefined;
  } catch (error) {
    if (error instanceof DatabaseUrlError) return error.fault;
    throw error;
  }
}
