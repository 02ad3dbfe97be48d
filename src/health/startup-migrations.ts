import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { Environment } from '../config/environment.js';
import { databaseConfig } from '../config/database-config.js';
import { asDataError, errorCodeOf } from '../db/errors.js';
import { migrate } from '../db/migrate.js';

const LONGEST_PAUSE_MS = 1000;

/**
 * With MIGRATIONS=apply, applies the pending migrations once the application is up, and keeps
 * trying while the database is away. Until then the service lives and is not ready.
 */
@Injectable()
export class StartupMigrations implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('Migrations');
  private readonly stop = new AbortController();
  private running = Promise.resolve();

  constructor(@Inject(Environment) private readonly environment: Environment) {}

  onApplicationBootstrap(): void {
    if (this.environment.MIGRATIONS === 'apply') this.running = this.apply();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stop.abort();
    await this.running;
  }

  private async apply(): Promise<void> {
    for (
      let pauseMs = 50;
      !this.stop.signal.aborted;
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    ) {
      try {
        const applied = await migrate(databaseConfig(this.environment));
        if (applied.length > 0) this.logger.log(`applied ${applied.join(', ')}`);
        return;
      } catch (error) {
        if (asDataError(error)?.code !== 'database_unavailable') return this.giveUp(error);
        this.logger.warn(
          `the database is not available (${errorCodeOf(error) ?? 'no answer'}), trying again`,
        );
        await pause(pauseMs, this.stop.signal);
      }
    }
  }

  /** Waiting would not help: /health/ready tells the same until someone mends it. */
  private giveUp(error: unknown): void {
    const reason =
      error instanceof Error && errorCodeOf(error) === undefined
        ? error.message
        : errorCodeOf(error);
    this.logger.error(`the migrations cannot be applied: ${reason}`);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
