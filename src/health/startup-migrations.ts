import { setTimeout } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { databaseConfig } from '../config/database-config.js';
import { Environment } from '../config/environment.js';
import { asDataError, type DataErrorCode, errorCodeOf } from '../db/errors.js';
import { migrate } from '../db/migrate.js';

const LONGEST_PAUSE_MS = 1000;

const MAY_PASS = new Set<DataErrorCode | undefined>([
  'database_unavailable',
  'pool_exhausted', // connecting takes longer than a request would wait
  'conflict', // with the traffic of an instance that runs already
]);

/**
 * With MIGRATIONS=apply, applies the pending migrations once the application is up, and keeps
 * trying while the database is away. Until then the service lives and is not ready.
 */
@Injectable()
export class StartupMigrations implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('Migrations');
  private readonly stopping = new AbortController();
  private running = Promise.resolve();

  constructor(@Inject(Environment) private readonly environment: Environment) {}

  onApplicationBootstrap(): void {
    if (this.environment.MIGRATIONS === 'apply') this.running = this.apply();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async apply(): Promise<void> {
    const { signal } = this.stopping;
    let told: string | undefined;
    for (let pauseMs = 50; !signal.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        const applied = await migrate(databaseConfig(this.environment), { signal });
        this.logger.log(applied.length > 0 ? `applied ${applied.join(', ')}` : 'none pending');
        return;
      } catch (error) {
        if (signal.aborted) return;
        const reason = reasonOf(error);
        if (!mayPass(error)) {
          // Until someone mends it, /health/ready tells what is pending or wrong.
          this.logger.error(`the migrations cannot be applied: ${reason}`);
          return;
        }
        if (reason !== told) this.logger.warn(`waiting for the database: ${reason}`);
        told = reason;
        await setTimeout(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}

/** Whether the same migrations may succeed later without anyone mending them. */
function mayPass(error: unknown): boolean {
  // Class 42, of which some say that the database is not migrated yet, is a faulty migration here.
  if (errorCodeOf(error)?.startsWith('42')) return false;
  return MAY_PASS.has(asDataError(error)?.code);
}

/** What the database or the system said. A statement is in the message around it, but never a value of a client's. */
function reasonOf(error: unknown): string {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const { message } = cause as Error;
  const code = errorCodeOf(cause);
  return code && !message.includes(code) ? `${message} (${code})` : message;
}
