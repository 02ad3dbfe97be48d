import { ConfigModule } from '@nestjs/config';
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
  validateSync,
} from 'class-validator';

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'verbose'] as const;

/** A whole number of digits alone: `1e2`, `0x10` and ` 1` are faults, not numbers. */
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

/**
 * Every variable that the service reads, its type and its default. What each means stands in
 * .env.example and docs/configuration.md; a test holds the three together.
 */
export class Environment {
  @IsIn(['development', 'test', 'production'])
  NODE_ENV: 'development' | 'test' | 'production' = 'development';

  @IsOptional()
  @Matches(/^postgres(ql)?:\/\//, { message: 'must be a URL that begins with postgres://' })
  DATABASE_URL?: string;

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

  @Transform(({ value }) => ({ true: true, false: false })[String(value)] ?? (value as unknown))
  @IsBoolean({ message: 'must be true or false' })
  DATABASE_PREPARE: boolean = true;

  @IsIn(['apply', 'verify', 'off'])
  MIGRATIONS: 'apply' | 'verify' | 'off' = 'apply';

  @IsString()
  EMBEDDED_POSTGRES_DIR: string = '.data/postgres';

  @IsString()
  HOST: string = '127.0.0.1';

  @WholeNumber(0, 65_535)
  PORT: number = 3000;

  @IsIn(['none'])
  AUTH_MODE = 'none' as const;

  @IsIn(LOG_LEVELS)
  LOG_LEVEL: (typeof LOG_LEVELS)[number] = 'info';

  @IsIn(['pretty', 'json'])
  LOG_FORMAT: 'pretty' | 'json' = process.stdout.isTTY ? 'pretty' : 'json';

  @Matches(/^\d+(b|kb|mb)?$/i, { message: 'must be a size such as 500kb or 1mb' })
  BODY_LIMIT: string = '1mb';

  @WholeNumber(1, 3_600_000)
  SHUTDOWN_TIMEOUT_MS: number = 10_000;
}

/** Faults of the environment, all of them, a line each. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  /** EX_CONFIG of sysexits.h. */
  readonly exitCode = 78;

  constructor(readonly faults: string[]) {
    super(`The configuration is not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
}

/** `.env` and the process's environment, which wins. Throws ConfigurationError, which names every fault. */
export async function readEnvironment(): Promise<Environment> {
  let environment: Environment | undefined;
  await ConfigModule.forRoot({
    validate: (variables) => (environment = validateEnvironment(variables)),
  });
  return environment!;
}

/** An empty variable counts as unset, and unset means the default. */
export function validateEnvironment(variables: Record<string, unknown>): Environment {
  const names = Object.keys(new Environment()).concat('DATABASE_URL');
  const given = Object.fromEntries(
    names
      .map((name) => [name, variables[name]])
      .filter(([, value]) => value !== undefined && value !== ''),
  ) as Record<string, unknown>;
  if (given.NODE_ENV === 'production') given.MIGRATIONS ??= 'verify';
  const environment = plainToInstance(Environment, given, { exposeDefaultValues: true });
  const faults = validateSync(environment).map(
    ({ property, constraints }) =>
      `${property} ${withoutName(Object.values(constraints ?? {})[0]!, property)}`,
  );
  faults.push(...contradictions(given, environment));
  if (faults.length > 0) throw new ConfigurationError(faults);
  return environment;
}

/** What is wrong between variables that are each right by themselves. */
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
  return faults;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}

function withoutName(message: string, name: string): string {
  return message.startsWith(`${name} `) ? message.slice(name.length + 1) : message;
}
