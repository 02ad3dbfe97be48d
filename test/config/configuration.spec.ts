import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import express from 'express';
import { parseApiKeys } from '../../src/config/api-keys.js';
import { readCommandEnvironment } from '../../src/config/command-environment.js';
import { databaseConfig } from '../../src/config/database-config.js';
import { ConfigurationError, validateEnvironment } from '../../src/config/validate-environment.js';
import { Environment } from '../../src/config/environment.js';
import { readEnvironment } from '../../src/config/read-environment.js';
import { createFolder, killServices, startProcess } from '../support/process.js';

afterAll(killServices);

const root = path.resolve(import.meta.dirname, '../..');
const NAMES = Object.keys(new Environment());

function faultsOf(variables: Record<string, string>): string[] {
  try {
    validateEnvironment(variables);
    return [];
  } catch (error) {
    return (error as ConfigurationError).faults;
  }
}

/** Every variable that can be invalid has an invalid value. */
const ALL_WRONG = {
  NODE_ENV: 'staging',
  DATABASE_URL: 'mysql://root:secret@localhost/x',
  DATABASE_REPLICA_URLS: 'postgres://a/x, postgres://b,c/x',
  DATABASE_REPLICA_MAX_LAG_MS: '-1',
  DATABASE_MAX_CONNECTIONS: '0',
  DATABASE_IDLE_TIMEOUT: '-1',
  DATABASE_CONNECT_TIMEOUT: '1.5',
  DATABASE_STATEMENT_TIMEOUT_MS: '5s',
  DATABASE_ACQUIRE_TIMEOUT_MS: '0x10',
  DATABASE_SLOW_STATEMENT_MS: '1s',
  DATABASE_PREPARE: 'yes',
  MIGRATIONS: 'run',
  HISTORY_RETENTION_DAYS: '-1',
  PORT: '65536',
  AUTH_MODE: 'password',
  AUTH_API_KEYS: 'ci:admin:secret',
  AUTH_JWKS_URL: 'http://issuer.example/keys',
  RATE_LIMIT: '100',
  MAX_CONCURRENT_REQUESTS: '-1',
  OVERLOAD_HOLD_MS: '1s',
  CORS_ORIGINS: 'https://a.example, *',
  METRICS_PORT: '-1',
  MESH_TRANSPORT: 'kafka',
  MESH_SOURCE: 'a source',
  LOG_LEVEL: 'trace',
  LOG_FORMAT: 'xml',
  BODY_LIMIT: '1 mb',
  TRUST_PROXY: 'yes',
  SHUTDOWN_DELAY_MS: '-1',
  SHUTDOWN_TIMEOUT_MS: '0',
};

const ALL_FAULTS = [
  'NODE_ENV must be development or test or production',
  'DATABASE_URL must be a URL such as postgres://user:password@host:5432/database',
  'DATABASE_REPLICA_URLS must be URLs separated by commas: URL 2 names several hosts: write a separate URL for each replica',
  'DATABASE_REPLICA_MAX_LAG_MS must be a whole number from 0 to 3600000',
  'DATABASE_MAX_CONNECTIONS must be a whole number from 1 to 1000',
  'DATABASE_IDLE_TIMEOUT must be a whole number from 0 to 86400',
  'DATABASE_CONNECT_TIMEOUT must be a whole number from 1 to 600',
  'DATABASE_STATEMENT_TIMEOUT_MS must be a whole number from 0 to 3600000',
  'DATABASE_ACQUIRE_TIMEOUT_MS must be a whole number from 1 to 600000',
  'DATABASE_SLOW_STATEMENT_MS must be a whole number from 0 to 3600000',
  'DATABASE_PREPARE must be true or false',
  'MIGRATIONS must be apply or verify or off',
  'HISTORY_RETENTION_DAYS must be a whole number from 0 to 36500',
  'PORT must be a whole number from 0 to 65535',
  'AUTH_MODE must be none or api-key or jwt',
  'AUTH_API_KEYS must be entries such as name:read+write:<SHA-256 of the key, 64 hex digits>, separated by commas, without a duplicate name or key; npm run cli -- key create NAME creates an entry',
  'AUTH_JWKS_URL must be an https URL without a user name; http is accepted only for a loopback address',
  'RATE_LIMIT must be requests/seconds, such as 100/60',
  'MAX_CONCURRENT_REQUESTS must be a whole number from 0 to 100000',
  'OVERLOAD_HOLD_MS must be a whole number from 0 to 60000',
  'CORS_ORIGINS must be origins such as https://app.example.org, separated by commas',
  'METRICS_PORT must be a whole number from 0 to 65535',
  'MESH_TRANSPORT must be tcp or nats',
  'MESH_SOURCE must be a URI reference, such as /projects-service or https://catalogue.example.org',
  'LOG_LEVEL must be fatal or error or warn or info or debug or verbose',
  'LOG_FORMAT must be pretty or json',
  'BODY_LIMIT must be a size such as 500kb or 1mb',
  'TRUST_PROXY must be true, false, a number of proxies, or addresses such as 10.0.0.0/8,loopback',
  'SHUTDOWN_DELAY_MS must be a whole number from 0 to 3600000',
  'SHUTDOWN_TIMEOUT_MS must be a whole number from 1 to 3600000',
];

describe('the environment', () => {
  it('may be empty, because every variable has a default', () => {
    expect({ ...validateEnvironment({}) }).toEqual({
      NODE_ENV: 'development',
      DATABASE_URL: undefined,
      DATABASE_REPLICA_URLS: undefined,
      DATABASE_REPLICA_MAX_LAG_MS: 1000,
      DATABASE_MAX_CONNECTIONS: 10,
      DATABASE_IDLE_TIMEOUT: 20,
      DATABASE_CONNECT_TIMEOUT: 10,
      DATABASE_STATEMENT_TIMEOUT_MS: 5000,
      DATABASE_ACQUIRE_TIMEOUT_MS: 2000,
      DATABASE_SLOW_STATEMENT_MS: 0,
      DATABASE_PREPARE: true,
      MIGRATIONS: 'apply',
      MIGRATIONS_SCHEMA: undefined,
      MIGRATIONS_TABLE: 'projects_service_migrations',
      HISTORY_RETENTION_DAYS: 0,
      EMBEDDED_POSTGRES_DIR: '.data/postgres',
      HOST: '127.0.0.1',
      PORT: 3000,
      AUTH_MODE: 'none',
      AUTH_API_KEYS: undefined,
      AUTH_JWKS_URL: undefined,
      AUTH_ISSUER: undefined,
      AUTH_AUDIENCE: undefined,
      RATE_LIMIT: undefined,
      MAX_CONCURRENT_REQUESTS: 64,
      OVERLOAD_HOLD_MS: 1000,
      CORS_ORIGINS: undefined,
      METRICS_PORT: undefined,
      MESH_TRANSPORT: undefined,
      MESH_URL: undefined,
      MESH_SOURCE: '/projects-service',
      LOG_LEVEL: 'info',
      LOG_FORMAT: process.stdout.isTTY ? 'pretty' : 'json',
      BODY_LIMIT: '1mb',
      TRUST_PROXY: 'false',
      KEEP_ALIVE_TIMEOUT_MS: 65_000,
      SEND_TIMEOUT_MS: 30_000,
      SHUTDOWN_DELAY_MS: 500,
      SHUTDOWN_TIMEOUT_MS: 10_000,
    });
  });

  it('may have empty variables, which count as unset', () => {
    const empty = Object.fromEntries(NAMES.map((name) => [name, '']));
    expect(validateEnvironment(empty)).toEqual(validateEnvironment({}));
  });

  it('is parsed to numbers, booleans and text, and other variables are ignored', () => {
    const environment = validateEnvironment({
      PORT: '0',
      DATABASE_URL: 'postgresql://me:p%40ss@db1:5432,db2:5433/projects?sslmode=require',
      DATABASE_MAX_CONNECTIONS: '3',
      DATABASE_PREPARE: 'false',
      BODY_LIMIT: '500KB',
      PATH: '/bin',
      NODE_OPTIONS: '--enable-source-maps',
    });
    expect(environment).toMatchObject({ PORT: 0, DATABASE_PREPARE: false, BODY_LIMIT: '500KB' });
    expect(environment).not.toHaveProperty('PATH');
    expect(databaseConfig(environment)).toEqual({
      url: 'postgresql://me:p%40ss@db1:5432,db2:5433/projects?sslmode=require',
      max: 3,
      idle_timeout: 20,
      connect_timeout: 10,
      statement_timeout_ms: 5000,
      acquire_timeout_ms: 2000,
      prepare: false,
    });
  });

  it('is refused with all of its faults at once, by name and without values', () => {
    expect(faultsOf(ALL_WRONG)).toEqual(ALL_FAULTS);
    const { message } = new ConfigurationError(ALL_FAULTS);
    expect(message.split('\n')).toHaveLength(ALL_FAULTS.length + 1);
    expect(message).not.toContain('secret');
  });

  it.each(['1e3', ' 3000', '3000 ', '+1', '0x10', '1.0', '٣', 'NaN', 'Infinity', '9'.repeat(400)])(
    'does not accept %j as a number',
    (PORT) => {
      expect(faultsOf({ PORT })).toEqual(['PORT must be a whole number from 0 to 65535']);
    },
  );

  it.each(['localhost:5432/projects', 'http://localhost/projects'])(
    'does not accept %j as a database URL',
    (DATABASE_URL) => {
      expect(faultsOf({ DATABASE_URL })).toEqual([
        'DATABASE_URL must be a URL such as postgres://user:password@host:5432/database',
      ]);
    },
  );
});

it('the service and the commands read the same settings from .env and from the environment, which has precedence', async () => {
  const folder = await createFolder();
  const lines = [
    '\ufeff# a comment',
    'export DATABASE_URL="postgres://u:p#a@localhost/db?application_name=$HOME" # more',
    "MIGRATIONS_TABLE='a \\n b'",
    'AUTH_MODE=none',
    'AUTH_ISSUER="two\\nlines"',
    'EMBEDDED_POSTGRES_DIR = `it\'s "here"`  ',
    'PORT: 4000',
    'LOG_LEVEL=debug#no',
    'HOST=',
    'BODY_LIMIT=1kb\r',
  ];
  await writeFile(path.join(folder, '.env'), lines.join('\n'));
  const variables = { ...process.env };
  const cwd = process.cwd();
  try {
    process.chdir(folder);
    process.env.PORT = '5000';
    const ofCommands = readCommandEnvironment();
    const ofService = await readEnvironment();
    expect(ofCommands).toEqual(ofService);
    expect(ofCommands).toMatchObject({ PORT: 5000, BODY_LIMIT: '1kb', HOST: '127.0.0.1' });
  } finally {
    process.chdir(cwd);
    for (const name of Object.keys(process.env)) delete process.env[name];
    Object.assign(process.env, variables);
  }
});

describe('the environment in production', () => {
  const NODE_ENV = 'production';
  const DATABASE_URL = 'postgres://localhost/projects';

  it('must contain the database and the authentication mode', () => {
    expect(faultsOf({ NODE_ENV })).toEqual([
      'DATABASE_URL must be set in production; the embedded PostgreSQL is for development',
      'AUTH_MODE must be set in production (to none if requests need no authentication)',
    ]);
    expect(faultsOf({ NODE_ENV, DATABASE_URL, AUTH_MODE: 'none', HOST: '0.0.0.0' })).toEqual([]);
  });

  it('verifies migrations by default', () => {
    const production = { NODE_ENV, DATABASE_URL, AUTH_MODE: 'none' };
    expect(validateEnvironment(production).MIGRATIONS).toBe('verify');
    expect(validateEnvironment({ ...production, MIGRATIONS: 'apply' }).MIGRATIONS).toBe('apply');
  });
});

it('AUTH_MODE must be set when others can reach the service', () => {
  const fault =
    'AUTH_MODE must be set when HOST is not a loopback address (to none if requests need no authentication)';
  for (const HOST of ['0.0.0.0', '::', '192.168.1.7', 'example.org', '127.example.org']) {
    expect(faultsOf({ HOST })).toEqual([fault]);
    expect(faultsOf({ HOST, AUTH_MODE: 'none' })).toEqual([]);
  }
  for (const HOST of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) {
    expect(faultsOf({ HOST })).toEqual([]);
  }
});

it.each(['10.0.0.0/33', '10.0.0.0/0', '::/129', '10.0.0.1/', '10.0.0.0/8/8', '10.0.0.0/8,', '/8'])(
  'TRUST_PROXY cannot be %j',
  (TRUST_PROXY) => {
    expect(faultsOf({ TRUST_PROXY })).toEqual([
      'TRUST_PROXY must be true, false, a number of proxies, or addresses such as 10.0.0.0/8,loopback',
    ]);
  },
);

it.each(['10.0.0.0/32', '10.0.0.1', 'fd00::/128, ::1/1 ,loopback', '::ffff:10.0.0.0/104'])(
  'Express accepts %j, which TRUST_PROXY can be',
  (TRUST_PROXY) => {
    expect(faultsOf({ TRUST_PROXY })).toEqual([]);
    expect(() => express().set('trust proxy', TRUST_PROXY)).not.toThrow();
  },
);

it.each(['postgres://a/x,', 'postgres://a/x,,postgres://b/x'])(
  'DATABASE_REPLICA_URLS cannot be %s',
  (DATABASE_REPLICA_URLS) => {
    expect(faultsOf({ DATABASE_REPLICA_URLS })).toEqual([
      'DATABASE_REPLICA_URLS must be URLs separated by commas: URL 1 ends with a comma',
    ]);
  },
);

describe('API keys', () => {
  const digest = (digit: string) => digit.repeat(64);
  const keys = (AUTH_API_KEYS: string) => faultsOf({ AUTH_MODE: 'api-key', AUTH_API_KEYS });

  it('are entries of a name, scopes and a digest', () => {
    expect(keys(`ci:read+write:${digest('a')}, team.x@b-c_d:READ:${digest('B')}`)).toEqual([]);
    expect(parseApiKeys(`ci:Write+read:${digest('A')}`)).toEqual([
      { name: 'ci', scopes: ['write', 'read'], sha256: digest('a') },
    ]);
  });

  it.each([
    'ci',
    `ci::${digest('a')}`,
    `ci:admin:${digest('a')}`,
    `ci:read:${digest('a')},`,
    `ci:read:${'a'.repeat(63)}`,
    `ci:read:${digest('g')}`,
    `:read:${digest('a')}`,
    `c i:read:${digest('a')}`,
    `ci:read:${digest('a')},ci:write:${digest('b')}`,
    `ci:read:${digest('a')},dev:write:${digest('A')}`,
  ])('cannot be %j', (AUTH_API_KEYS) => {
    const [fault, ...others] = keys(AUTH_API_KEYS);
    expect(others).toEqual([]);
    expect(fault).toContain('AUTH_API_KEYS must be entries such as name:read+write:');
    expect(fault).not.toContain(AUTH_API_KEYS);
  });

  it('are required with api-key, and require AUTH_MODE otherwise', () => {
    expect(faultsOf({ AUTH_MODE: 'api-key' })).toEqual([
      'AUTH_API_KEYS must be set with AUTH_MODE=api-key',
    ]);
    const AUTH_API_KEYS = `ci:read:${digest('a')}`;
    expect(faultsOf({ AUTH_API_KEYS })).toEqual([
      'AUTH_MODE must be set when AUTH_API_KEYS is set: to api-key to use it, or to none to ignore it',
    ]);
    expect(faultsOf({ AUTH_API_KEYS, AUTH_MODE: 'none' })).toEqual([]);
  });
});

describe('the issuer of tokens', () => {
  const issuer = {
    AUTH_MODE: 'jwt',
    AUTH_JWKS_URL: 'https://issuer.example/keys',
    AUTH_ISSUER: 'https://issuer.example/',
    AUTH_AUDIENCE: 'projects',
  };

  it('needs three variables, all of which jwt requires', () => {
    expect(faultsOf(issuer)).toEqual([]);
    expect(faultsOf({ AUTH_MODE: 'jwt' })).toEqual(
      ['AUTH_JWKS_URL', 'AUTH_ISSUER', 'AUTH_AUDIENCE'].map(
        (name) => `${name} must be set with AUTH_MODE=jwt`,
      ),
    );
    const { AUTH_MODE: _, ...forgotten } = issuer;
    expect(faultsOf(forgotten)).toHaveLength(3);
  });

  it.each(['https://issuer.example/keys', 'http://127.0.0.1:8080/k', 'http://[::1]/k'])(
    'may publish its keys at %s',
    (AUTH_JWKS_URL) => expect(faultsOf({ ...issuer, AUTH_JWKS_URL })).toEqual([]),
  );

  it.each([
    'http://issuer.example/',
    'https://me:secret@issuer.example/',
    'https://:secret@issuer.example/',
    'file:///keys',
    'keys',
  ])('may not publish its keys at %s', (AUTH_JWKS_URL) => {
    expect(faultsOf({ ...issuer, AUTH_JWKS_URL })).toEqual([
      'AUTH_JWKS_URL must be an https URL without a user name; http is accepted only for a loopback address',
    ]);
  });
});

describe('the process', () => {
  it('writes all faults to standard error and exits with 78', async () => {
    const service = await startProcess(ALL_WRONG);
    expect(await service.ended).toBe(78);
    const lines = ['The configuration is not valid:', ...ALL_FAULTS.map((fault) => `  - ${fault}`)];
    expect(service.errors()).toBe(`${lines.join('\n')}\n`);
    expect(service.output()).toBe('');
  });

  it('refuses the embedded PostgreSQL in production and does not create it', async () => {
    const folder = await createFolder();
    const service = await startProcess({ NODE_ENV: 'production', AUTH_MODE: 'none' }, folder);
    expect(await service.ended).toBe(78);
    expect(service.errors()).toContain('DATABASE_URL must be set in production');
    expect(await readdir(folder)).toEqual([]);
  });

  it('reads the file .env of its working directory, and the environment has precedence', async () => {
    const folder = await createFolder();
    await writeFile(path.join(folder, '.env'), 'PORT=nowhere\nLOG_LEVEL="loud" # a comment\n');
    const service = await startProcess({ PORT: '0' }, folder);
    expect(await service.ended).toBe(78);
    expect(service.errors()).toBe(
      'The configuration is not valid:\n' +
        '  - LOG_LEVEL must be fatal or error or warn or info or debug or verbose\n',
    );
  });
});

it('a file .env that cannot be read is named, by the service and by the commands', async () => {
  const folder = await createFolder();
  await mkdir(path.join(folder, '.env')); // Docker creates a directory for a file that it cannot find
  const cwd = process.cwd();
  try {
    process.chdir(folder);
    const fault = 'the file .env cannot be read (EISDIR)';
    expect(() => readCommandEnvironment({})).toThrow(new ConfigurationError([fault]));
    await expect(readEnvironment()).rejects.toThrow(new ConfigurationError([fault]));
  } finally {
    process.chdir(cwd);
  }
});

describe('the variables', () => {
  const defaults = Object.entries(new Environment()).map(([name, value]) => [
    name,
    name === 'LOG_FORMAT' ? 'json' : String(value ?? ''),
  ]);

  it('are listed in .env.example with their defaults and descriptions', async () => {
    const text = await readFile(path.join(root, '.env.example'), 'utf8');
    const entries = [...text.matchAll(/(?:^# .*\n)+#(\w+)=(.*)$/gm)];
    expect(entries.map(([, name, value]) => [name, value])).toEqual(defaults);
    expect(text.match(/^#\w+=/gm)).toHaveLength(entries.length);
  });

  it('are listed in docs/configuration.md with their defaults', async () => {
    const text = await readFile(path.join(root, 'docs/configuration.md'), 'utf8');
    const rows = [...text.matchAll(/^\| `([A-Z_]+)` *\| (?:`([^`]*)`|unset:)[^|]*\| \S/gm)];
    expect(rows.map(([, name, value = '']) => [name, value])).toEqual(defaults);
  });

  it('are all used', async () => {
    const files = await readdir(path.join(root, 'src'), { recursive: true });
    const sources = await Promise.all(
      files
        .filter((file) => file.endsWith('.ts'))
        .map((file) => readFile(path.join(root, 'src', file), 'utf8')),
    );
    const lines = sources.flatMap((source) => source.split('\n'));
    const code = lines.filter((line) => !/^\s*(\/?\*|\/\/)/.test(line)).join('\n');
    // Each name occurs once in its declaration.
    const uses = (name: string) => code.match(new RegExp(`\\b${name}\\b`, 'g'))!.length - 1;
    expect(NAMES.filter((name) => uses(name) === 0)).toEqual([]);
  });
});
