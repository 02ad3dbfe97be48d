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

const MAY_PASS = new Set<DataErrorCode | undefined>([
  'database_unavailable',
  'pool_exhausted', // connecting takes longer than a request would wait
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
        const applied = await migrate(databaseConfig(this.environment), {
          journal: migrationJournal(this.environment),
          signal,
          onWait: (message) => this.logger.warn(message),
        });
        this.logger.log(applied.length > 0 ? `applied ${applied.join(', ')}` : 'none pending');
        return;
      } catch (error) {
        if (signal.aborted) return;
        const reason = describeError(error);
        if (!mayPass(error)) {
          // Until then /health/ready reports what is pending or wrong.
          this.logger.error(
            `the migrations cannot be applied: ${reason} Start again when it is mended.`,
          );
          return;
        }
        if (reason !== told) this.logger.warn(`waiting for the database: ${reason}`);
        told = reason;
        await setTimeout(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}

/** The same migrations may succeed later without a change. */
function mayPass(error: unknown): boolean {
  // Codes of class 42, which elsewhere may mean that the database is not migrated yet, are faults here.
  if (errorCodeOf(error)?.startsWith('42')) return false;
  return MAY_PASS.has(asDataError(error)?.code);
}
