import {
  type BeforeApplicationShutdown,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { Db } from '../db/connection.js';
import { asDataError, errorCodeOf } from '../db/errors.js';
import { removeExpiredChanges } from '../db/entity/change-expiry.js';
import { createIdempotencyFactory } from '../db/factories/idempotency.factory.js';
import { createTechnologiesFactory, MOST_NOTES } from '../db/factories/technologies.factory.js';
import { type Housekeeping, type HousekeepingTask, startHousekeeping } from '../db/housekeeping.js';

/** Removes what has expired, for as long as the application runs. */
export class ProjectsHousekeeping implements OnApplicationBootstrap, BeforeApplicationShutdown {
  readonly #logger = new Logger('Housekeeping');
  readonly #tasks = [OF_KEYS, OF_TECHNOLOGIES];
  #running: Housekeeping | undefined;

  /** Changes are removed after so many days; 0 keeps them. */
  constructor(
    private readonly db: Db,
    historyRetentionDays: number,
  ) {
    if (historyRetentionDays > 0) this.#tasks.push(ofHistory(historyRetentionDays));
  }

  onApplicationBootstrap(): void {
    this.#running = startHousekeeping(this.db, this.#tasks, {
      onError: (task, error) => this.#tell(task, error),
    });
  }

  /** That the database is away is told by the health of the application. */
  #tell(task: string, error: unknown): void {
    const isAway = asDataError(error)?.code === 'database_unavailable';
    this.#logger[isAway ? 'debug' : 'warn'](`${task}: ${reasonOf(error)}`);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#running?.stop();
  }
}

const OF_KEYS: HousekeepingTask = {
  name: 'idempotency keys',
  step: (tx) => createIdempotencyFactory(tx).removeExpired(),
};

const OF_TECHNOLOGIES: HousekeepingTask = {
  name: 'technologies',
  // A part of the most is all there was: else each write of a busy service would bring a fold of its own.
  step: async (tx) => {
    const folded = await createTechnologiesFactory(tx).foldChanges();
    return folded < MOST_NOTES ? 0 : folded;
  },
};

function ofHistory(days: number): HousekeepingTask {
  return { name: 'history', step: (tx) => removeExpiredChanges(tx, days) };
}

/** Without the message of the database, which may hold SQL and values. */
function reasonOf(error: unknown): string {
  const said = asDataError(error)?.message ?? 'failed';
  return `${said} (${errorCodeOf(error) ?? (error as Error).name})`;
}
