import {
  type BeforeApplicationShutdown,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Db } from '../db/connection.js';
import { asDataError, errorCodeOf } from '../db/errors.js';
import { removeExpiredChanges } from '../db/entity/change-expiry.js';
import { createIdempotencyFactory } from '../db/factories/idempotency.factory.js';
import { createTechnologiesFactory, MAX_NOTES } from '../db/factories/technologies.factory.js';
import { type Housekeeping, type HousekeepingTask, startHousekeeping } from '../db/housekeeping.js';

/** Removes expired rows periodically while the application runs. */
export class ProjectsHousekeeping implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Housekeeping');
  readonly #tasks = [KEY_EXPIRY, TECHNOLOGY_COUNTS];
  #running: Housekeeping | undefined;

  /** Changes are removed after `historyRetentionDays`; 0 keeps them. */
  constructor(
    private readonly db: Db,
    historyRetentionDays: number,
  ) {
    if (historyRetentionDays > 0) this.#tasks.push(historyExpiry(historyRetentionDays));
  }

  onApplicationBootstrap(): void {
    this.#running = startHousekeeping(this.db, this.#tasks, {
      onError: (task, error) => this.#log(task, error),
    });
  }

  /** Logs a failure. An unavailable database is logged only at debug, because the health check reports it. */
  #log(task: string, error: unknown): void {
    const isAway = asDataError(error)?.code === 'database_unavailable';
    this.#logger[isAway ? 'debug' : 'warn'](`${task}: ${reasonOf(error)}`);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#running?.stop();
  }
}

const KEY_EXPIRY: HousekeepingTask = {
  name: 'idempotency keys',
  step: (tx) => createIdempotencyFactory(tx).removeExpired(),
};

const TECHNOLOGY_COUNTS: HousekeepingTask = {
  name: 'technologies',
  // Fewer than the maximum means that nothing is left. Otherwise a busy service would fold after each write.
  step: async (tx) => {
    const folded = await createTechnologiesFactory(tx).foldChanges();
    return folded < MAX_NOTES ? 0 : folded;
  },
};

function historyExpiry(days: number): HousekeepingTask {
  return { name: 'history', step: (tx) => removeExpiredChanges(tx, days) };
}

/** Describes an error without the message of the database, which may contain SQL and values. */
function reasonOf(error: unknown): string {
  const message = asDataError(error)?.message ?? 'failed';
  return `${message} (${errorCodeOf(error) ?? (error as Error).name})`;
}
