import { setTimeout } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { databaseConfig, migrationJournal } from '../config/database-config.js';
import { Environment } from '../config/environment.js';
import { asDataError, type DataErrorCode, errorCodeOf } from '../db/errors.js';
import { describeError } from '../db/explain-error.js';
import { migrate } from '../db/migrate.js';

const LONGEST_PAUSE_MS = 1000;

const TEMPORARY = new Set<DataErrorCode | undefined>([
  'database_unavailable',
  'pool_exhausted', // connecting takes longer than the acquire timeout
]);

/**
 * With MIGRATIONS=apply, applies the pending migrations after the application has started, and retries
 * while the database is unavailable. Until then the service is live but not ready.
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
    let reported: string | undefined;
    for (let pauseMs = 50; !signal.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        const applied = await migrate(databaseConfig(this.environment), {
          journal: migrationJournal(this.environment),
          signal,
          onWait: (message) => this.logger.warn(message),
        });
        this.logger.log(
          applied.length > 0 ? `applied ${applied.join(', ')}` : 'no migrations are pending',
        );
        return;
      } catch (error) {
        if (signal.aborted) return;
        const reason = describeError(error);
        if (!isTemporary(error)) {
          // /health/ready reports the pending migrations until then.
          this.logger.error(
            `the migrations cannot be applied: ${reason} Fix the cause, then restart the service.`,
          );
          return;
        }
        if (reason !== reported) this.logger.warn(`waiting for the database: ${reason}`);
        reported = reason;
        await setTimeout(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}

/** True if the same migrations may succeed later without a change. */
function isTemporary(error: unknown): boolean {
  // Elsewhere, class 42 may mean that the database is not migrated yet. Here it is a permanent error.
  if (errorCodeOf(error)?.startsWith('42')) return false;
  return TEMPORARY.has(asDataError(error)?.code);
}
