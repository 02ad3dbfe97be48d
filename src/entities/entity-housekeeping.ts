import {
  type BeforeApplicationShutdown,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Db } from '../db/connection.js';
import { asDataError, errorCodeOf } from '../db/errors.js';
import { removeExpiredChanges } from '../db/entity/change-expiry.js';
import { createIdempotencyFactory } from '../db/factories/idempotency.factory.js';
import { type Housekeeping, type HousekeepingTask, startHousekeeping } from '../db/housekeeping.js';

export interface HousekeepingSettings {
  /** The number of days after which the changes of all entities of the database are removed; default: they are kept. */
  historyRetentionDays?: number;
  /** Further tasks. */
  tasks?: HousekeepingTask[];
}

/**
 * Removes expired idempotency keys and changes periodically while the application runs. Several modules may run it on
 * one database, because only one at a time runs a task.
 */
export class EntityHousekeeping implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Housekeeping');
  readonly #tasks: HousekeepingTask[];
  #running: Housekeeping | undefined;

  constructor(
    private readonly db: Db,
    { historyRetentionDays = 0, tasks = [] }: HousekeepingSettings,
  ) {
    const history = historyRetentionDays > 0 ? [historyExpiry(historyRetentionDays)] : [];
    this.#tasks = [KEY_EXPIRY, ...tasks, ...history];
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

function historyExpiry(days: number): HousekeepingTask {
  return { name: 'history', step: (tx) => removeExpiredChanges(tx, days) };
}

/** Describes an error without the message of the database, which may contain SQL and values. */
function reasonOf(error: unknown): string {
  const message = asDataError(error)?.message ?? 'failed';
  return `${message} (${errorCodeOf(error) ?? (error as Error).name})`;
}
