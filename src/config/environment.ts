import { isIP, isIPv4 } from 'node:net';
import { plainToInstance, Transform } from 'class-transformer';
import {
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Matches,
  Max,
  Min,
  ValidateBy,
  validateSync,
} from 'class-validator';
import { parseDatabaseUrl } from '../db/driver/database-url.js';
import { DatabaseUrlError } from '../db/driver/url-error.js';
import { parseApiKeys } from './api-keys.js';
import { MESH_TRANSPORTS, type MeshAddress, parseMeshUrl } from './mesh-url.js';

const NODE_ENVS = ['development', 'test', 'production'] as const;
const MIGRATIONS = ['apply', 'verify', 'off'] as const;
const AUTH_MODES = ['none', 'api-key', 'jwt'] as const;
/** The variables that each mode requires. */
const AUTH_SETTINGS = {
  'api-key': ['AUTH_API_KEYS'],
  jwt: ['AUTH_JWKS_URL', 'AUTH_ISSUER', 'AUTH_AUDIENCE'],
} as const;
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'verbose'] as const;
const LOG_FORMATS = ['pretty', 'json'] as const;

function OneOf(values: readonly string[]): PropertyDecorator {
  return IsIn(values, { message: `must be ${values.join(' or ')}` });
}

/** A whole number that consists only of digits: `1e2`, `0x10` and ` 1` are faults. */
function WholeNumber(min: number, max: number): PropertyDecorator {
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
function DatabaseUrl(): PropertyDecorator {
  return ValidateBy({
    name: 'databaseUrl',
    validator: {
      validate: (value) => faultOf(value) === undefined,
      defaultMessage: (args) => faultOf(args?.value) ?? '',
    },
  });
}

/** URLs separated by commas. The message has the first fault, without the URL. */
function ReplicaUrls(): PropertyDecorator {
  const faultIn = (value: unknown) => {
    const faults = splitUrls(value as string).map((url) => replicaFaultOf(url));
    const n = faults.findIndex((fault) => fault !== undefined);
    return n < 0 ? undefined : `must be URLs separated by commas: number ${n + 1} ${faults[n]}`;
  };
  return ValidateBy({
    name: 'replicaUrls',
    validator: {
      validate: (value) => faultIn(value) === undefined,
      defaultMessage: (args) => faultIn(args?.value) ?? '',
    },
  });
}

function ApiKeys(): PropertyDecorator {
  return ValidateBy(
    {
      name: 'apiKeys',
      validator: { validate: (value) => typeof value === 'string' && !!parseApiKeys(value) },
    },
    {
      message:
        'must be entries such as name:read+write:<SHA-256 of the key, 64 hex digits>, separated by commas, each name and key once; npm run cli -- key create NAME makes one',
    },
  );
}

/** A value for Express's setting `trust proxy`. */
function TrustedProxies(): PropertyDecorator {
  const isProxy = (proxy: string) => {
    const [address, bits = '0'] = proxy.trim().split('/');
    const isNetwork = isIP(address!) > 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= 128;
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
function KeySetUrl(): PropertyDecorator {
  const validate = (value: unknown) => {
    if (typeof value !== 'string' || !URL.canParse(value)) return false;
    const { protocol, hostname, username } = new URL(value);
    const host = hostname.replace(/^\[|\]$/g, '');
    return username === '' && (protocol === 'https:' || (protocol === 'http:' && isLoopback(host)));
  };
  return ValidateBy(
    { name: 'keySetUrl', validator: { validate } },
    { message: 'must be an https URL without a user name; http only of a loopback address' },
  );
}

function Origins(): PropertyDecorator {
  const isOrigin = (text: string) => URL.canParse(text) && new URL(text).origin === text;
  const validate = (value: unknown) => listOf(value as string).every(isOrigin);
  return ValidateBy(
    { name: 'origins', validator: { validate } },
    { message: 'must be origins such as https://app.example.org, separated by commas' },
  );
}

/** Splits a variable at its commas. */
export function listOf(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(',').map((part) => part.trim());
}

/** Parses RATE_LIMIT; undefined if there is no limit. */
export function rateLimitOf({ RATE_LIMIT }: Environment) {
  if (RATE_LIMIT === undefined) return undefined;
  const [requests, seconds] = RATE_LIMIT.split('/').map(Number) as [number, number];
  return { requests, seconds };
}

/** Returns the address for messages; undefined without MESH_TRANSPORT. The environment must be validated. */
export function meshAddressOf({ MESH_TRANSPORT, MESH_URL }: Environment): MeshAddress | undefined {
  return MESH_TRANSPORT && (parseMeshUrl(MESH_TRANSPORT, MESH_URL!) as MeshAddress);
}

/** Returns the URLs of DATABASE_REPLICA_URLS. */
export function replicaUrlsOf({ DATABASE_REPLICA_URLS }: Environment): string[] {
  return DATABASE_REPLICA_URLS === undefined ? [] : splitUrls(DATABASE_REPLICA_URLS);
}

/** Splits at commas before a scheme. Any other comma is part of a URL. */
function splitUrls(text: string): string[] {
  return text.split(/,(?=\s*postgres(?:ql)?:)/).map((url) => url.trim());
}

function replicaFaultOf(url: string): string | undefined {
  const fault = faultOf(url);
  if (fault) return fault;
  const several = parseDatabaseUrl(url).targets.length > 1;
  return several ? 'names several hosts; give each replica a URL of its own' : undefined;
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

/**
 * All variables that the service reads, with their types and defaults. .env.example and docs/configuration.md describe
 * them; a test compares the three.
 */
export class Environment {
  @OneOf(NODE_ENVS)
  NODE_ENV: (typeof NODE_ENVS)[number] = 'development';

  @IsOptional()
  @DatabaseUrl()
  DATABASE_URL: string | undefined = undefined;

  @IsOptional()
  @ReplicaUrls()
  DATABASE_REPLICA_URLS: string | undefined = undefined;

  @WholeNumber(0, 3_600_000)
  DATABASE_REPLICA_MAX_LAG_MS: number = 1000;

  @WholeNumber(1, 1000)
  DATABASE_MAX_CONNECTIONS: number = 10;

  @WholeNumber(0, 86_400)
  DATABASE_IDLE_TIMEOUT: number = 20;

  @WholeNumber(1, 600)
  DATABASE_CONNECT_TIMEOUT: number = 10;

  @WholeNumber(0, 3_600_000)
  DATABASE_STATEMENT_TIMEOUT_MS: number = 5000;

  @WholeNumber(1, 600_000)
  DATABASE_ACQUIRE_TIMEOUT_MS: number = 2000;

  @WholeNumber(0, 3_600_000)
  DATABASE_SLOW_STATEMENT_MS: number = 0;

  @Transform(({ value }) => ({ true: true, false: false })[String(value)] ?? (value as unknown))
  @IsBoolean({ message: 'must be true or false' })
  DATABASE_PREPARE: boolean = true;

  @OneOf(MIGRATIONS)
  MIGRATIONS: (typeof MIGRATIONS)[number] = 'apply';

  @IsOptional()
  @IsString()
  MIGRATIONS_SCHEMA: string | undefined = undefined;

  @IsString()
  MIGRATIONS_TABLE: string = 'projects_service_migrations';

  @WholeNumber(0, 36_500)
  HISTORY_RETENTION_DAYS: number = 0;

  @IsString()
  EMBEDDED_POSTGRES_DIR: string = '.data/postgres';

  @IsString()
  HOST: string = '127.0.0.1';

  @WholeNumber(0, 65_535)
  PORT: number = 3000;

  @OneOf(AUTH_MODES)
  AUTH_MODE: (typeof AUTH_MODES)[number] = 'none';

  @IsOptional()
  @ApiKeys()
  AUTH_API_KEYS: string | undefined = undefined;

  @IsOptional()
  @KeySetUrl()
  AUTH_JWKS_URL: string | undefined = undefined;

  @IsOptional()
  @IsString()
  AUTH_ISSUER: string | undefined = undefined;

  @IsOptional()
  @IsString()
  AUTH_AUDIENCE: string | undefined = undefined;

  @IsOptional()
  @Matches(/^[1-9]\d{0,8}\/[1-9]\d{0,5}$/, {
    message: 'must be requests/seconds, such as 100/60',
  })
  RATE_LIMIT: string | undefined = undefined;

  @WholeNumber(0, 100_000)
  MAX_CONCURRENT_REQUESTS: number = 64;

  @WholeNumber(0, 60_000)
  OVERLOAD_HOLD_MS: number = 1000;

  @IsOptional()
  @Origins()
  CORS_ORIGINS: string | undefined = undefined;

  @IsOptional()
  @WholeNumber(0, 65_535)
  METRICS_PORT: number | undefined = undefined;

  @IsOptional()
  @OneOf(MESH_TRANSPORTS)
  MESH_TRANSPORT: (typeof MESH_TRANSPORTS)[number] | undefined = undefined;

  @IsOptional()
  @IsString()
  MESH_URL: string | undefined = undefined;

  @Matches(/^[!#$%&'()*+,\-./\w:;=?@[\]~]{1,255}$/, {
    message: 'must be a URI reference, such as /projects-service or https://projects.example.org',
  })
  MESH_SOURCE: string = '/projects-service';

  @OneOf(LOG_LEVELS)
  LOG_LEVEL: (typeof LOG_LEVELS)[number] = 'info';

  @OneOf(LOG_FORMATS)
  LOG_FORMAT: (typeof LOG_FORMATS)[number] = process.stdout.isTTY ? 'pretty' : 'json';

  @Matches(/^[1-9]\d*(b|kb|mb)?$/i, { message: 'must be a size such as 500kb or 1mb' })
  BODY_LIMIT: string = '1mb';

  @TrustedProxies()
  TRUST_PROXY: string = 'false';

  @WholeNumber(1, 3_600_000)
  KEEP_ALIVE_TIMEOUT_MS: number = 65_000;

  @WholeNumber(1, 3_600_000)
  SEND_TIMEOUT_MS: number = 30_000;

  @WholeNumber(0, 3_600_000)
  SHUTDOWN_DELAY_MS: number = 500;

  @WholeNumber(1, 3_600_000)
  SHUTDOWN_TIMEOUT_MS: number = 10_000;
}

/** Thrown with all faults of the environment, one line each. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  /** EX_CONFIG of sysexits.h. */
  readonly exitCode = 78;

  constructor(readonly faults: string[]) {
    super(`The configuration is not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
}

/** Validates the variables. An empty variable counts as unset and gets its default. Throws ConfigurationError. */
export function validateEnvironment(variables: Record<string, unknown>): Environment {
  const names = Object.keys(new Environment());
  const given = Object.fromEntries(
    names
      .map((name) => [name, variables[name]])
      .filter(([, value]) => value !== undefined && value !== ''),
  ) as Record<string, unknown>;
  if (given.NODE_ENV === 'production') given.MIGRATIONS ??= 'verify';
  const environment = plainToInstance(Environment, given, { exposeDefaultValues: true });
  const faults = validateSync(environment).map(
    ({ property, constraints }) => `${property} ${Object.values(constraints ?? {})[0]}`,
  );
  faults.push(...contradictions(given, environment));
  if (faults.length > 0) throw new ConfigurationError(faults);
  return environment;
}

/** Returns faults in the combination of variables that are valid individually. */
function contradictions(given: Record<string, unknown>, environment: Environment): string[] {
  const faults: string[] = [];
  const production = environment.NODE_ENV === 'production';
  if (production && given.DATABASE_URL === undefined) {
    faults.push(
      'DATABASE_URL must be set in production; the embedded PostgreSQL is for development',
    );
  }
  if (given.AUTH_MODE === undefined && production) {
    faults.push('AUTH_MODE must be set in production, to none if requests need no authentication');
  } else if (given.AUTH_MODE === undefined && !isLoopback(environment.HOST)) {
    faults.push(
      'AUTH_MODE must be set when HOST is not a loopback address, to none if that is what you want',
    );
  }
  return [...faults, ...meshFaults(given, environment), ...authFaults(given, environment)];
}

function meshFaults(given: Record<string, unknown>, environment: Environment): string[] {
  const { MESH_TRANSPORT: transport, MESH_URL: url } = environment;
  if (!transport) return url ? ['MESH_TRANSPORT must be set when MESH_URL is, to tcp or nats'] : [];
  if (!MESH_TRANSPORTS.includes(transport)) return []; // told already
  if (!url) return [`MESH_URL must be set with MESH_TRANSPORT=${transport}`];
  const address = parseMeshUrl(transport, url);
  if (typeof address === 'string') return [`MESH_URL ${address}`];
  const isOpen = address.transport === 'tcp' && !isLoopback(address.host);
  return isOpen && given.AUTH_MODE === undefined && environment.NODE_ENV !== 'production'
    ? [
        'AUTH_MODE must be set when MESH_URL is not a loopback address, to none if that is what you want',
      ]
    : [];
}

/** Finds missing settings of the mode, and settings without a mode, which would leave the service open by mistake. */
function authFaults(given: Record<string, unknown>, { AUTH_MODE }: Environment): string[] {
  const faults: string[] = [];
  for (const [mode, names] of Object.entries(AUTH_SETTINGS)) {
    for (const name of names) {
      if (AUTH_MODE === mode && given[name] === undefined) {
        faults.push(`${name} must be set with AUTH_MODE=${mode}`);
      }
      if (given.AUTH_MODE === undefined && given[name] !== undefined) {
        faults.push(`AUTH_MODE must be set when ${name} is, to ${mode}, or to none to ignore it`);
      }
    }
  }
  return faults;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
