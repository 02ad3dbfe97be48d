import {
  type BeforeApplicationShutdown,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Db } from '../db/connection.js';
import { asDataError, errorCodeOf } from '../db/errors.js';
import { removeExpiredChanges } from '../db/factories/change-expiry.js';
import { type Housekeeping, type HousekeepingTask, startHousekeeping } from '../db/housekeeping.js';

/** Removes what has expired, for as long as the application runs. */
export class ProjectsHousekeeping implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Housekeeping');
  readonly #tasks: HousekeepingTask[];
  #running: Housekeeping | undefined;

  /** Changes are removed after so many days; 0 keeps them. */
  constructor(
    private readonly db: Db,
    historyRetentionDays: number,
  ) {
    this.#tasks = [...(historyRetentionDays > 0 ? [ofHistory(historyRetentionDays)] : [])];
  }

  onApplicationBootstrap(): void {
    if (this.#tasks.length === 0) return;
    this.#running = startHousekeeping(this.db, this.#tasks, {
      onError: (task, error) => this.#logger.warn(`${task}: ${reasonOf(error)}`),
    });
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#running?.stop();
  }
}

function ofHistory(days: number): HousekeepingTask {
  return { name: 'history', step: (tx) => removeExpiredChanges(tx, days) };
}

/** Without the message of the database, which may hold SQL and values. */
function reasonOf(error: unknown): string {
  const said = asDataError(error)?.message ?? 'failed';
  return `${said} (${errorCodeOf(error) ?? (error as Error).name})`;
}
