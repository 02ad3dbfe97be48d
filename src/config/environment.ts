import { Transform } from 'class-transformer';
import { IsBoolean, IsOptional, IsString, Matches } from 'class-validator';
import { MESH_TRANSPORTS } from './mesh-url.js';
import {
  ApiKeys,
  DatabaseUrl,
  KeySetUrl,
  OneOf,
  Origins,
  ReplicaUrls,
  TrustedProxies,
  WholeNumber,
} from './rules.js';

const NODE_ENVS = ['development', 'test', 'production'] as const;
const MIGRATIONS = ['apply', 'verify', 'off'] as const;
const AUTH_MODES = ['none', 'api-key', 'jwt'] as const;
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'verbose'] as const;
const LOG_FORMATS = ['pretty', 'json'] as const;

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
    message: 'must be a URI reference, such as /projects-service or https://catalogue.example.org',
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
