import { ConsoleLogger, type LogLevel } from '@nestjs/common';
import type { Environment } from '../config/environment.js';

const LEVELS: Record<Environment['LOG_LEVEL'], LogLevel> = {
  fatal: 'fatal',
  error: 'error',
  warn: 'warn',
  info: 'log',
  debug: 'debug',
  verbose: 'verbose',
};

/** The contexts of Nest's messages about each module and route at the start. They are logged at level debug. */
const START_UP = new Set<unknown>([
  'NestFactory',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestApplication',
]);

/** Creates the service's logger: one JSON object per line, or readable lines. Timestamps are ISO 8601. */
export function createLogger({ LOG_LEVEL, LOG_FORMAT }: Environment): ConsoleLogger {
  return new ServiceLogger({
    json: LOG_FORMAT === 'json',
    // In Nest a level includes all levels that are more severe.
    logLevels: [LEVELS[LOG_LEVEL]],
  });
}

class ServiceLogger extends ConsoleLogger {
  override log(message: unknown, ...rest: unknown[]): void {
    if (START_UP.has(rest.at(-1))) this.debug(message, ...rest);
    else super.log(message, ...rest);
  }

  protected override getTimestamp(): string {
    return new Date().toISOString();
  }

  protected override getJsonLogObject(
    ...line: Parameters<JsonLogObject>
  ): ReturnType<JsonLogObject> {
    const { level, ...rest } = super.getJsonLogObject(...line);
    const own = {
      level: level === 'log' ? 'info' : level, // the same names as in LOG_LEVEL
      ...rest,
      timestamp: this.getTimestamp(),
    };
    return own as unknown as ReturnType<JsonLogObject>;
  }
}

type JsonLogObject = ConsoleLogger['getJsonLogObject'];
