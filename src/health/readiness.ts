import { Inject, Injectable } from '@nestjs/common';
import { migrationJournal } from '../config/database-config.js';
import { Environment } from '../config/environment.js';
import type { Db } from '../db/connection.js';
import { InjectDatabase } from '../db/database.module.js';
import { asDataError } from '../db/errors.js';
import { describeFaults, migrationStatus } from '../db/migration-status.js';
import { ping } from '../db/ping.js';
import type { Fault } from '../http/problems/problem.js';

/**
 * Whether requests may be sent here: not while shutting down, without a database, or, unless
 * MIGRATIONS is off, with another schema than this code's.
 */
@Injectable()
export class Readiness {
  #stopping = false;
  #hasStarted = false;

  constructor(
    @InjectDatabase() private readonly db: Db,
    @Inject(Environment) private readonly environment: Environment,
  ) {}

  /** Whether there has been a moment without a fault. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** From now on the service is not ready: it is about to stop. */
  stop(): void {
    this.#stopping = true;
  }

  /** What stands against sending requests here; none when it is ready. */
  async faults(): Promise<Fault[]> {
    if (this.#stopping) return [{ path: 'service', message: 'is shutting down' }];
    const faults = await this.databaseFaults();
    if (faults.length === 0) this.#hasStarted = true;
    return faults;
  }

  private async databaseFaults(): Promise<Fault[]> {
    try {
      return await this.migrationFaults();
    } catch (error) {
      const message = asDataError(error)?.message ?? 'The database cannot be asked.';
      return [{ path: 'database', message }];
    }
  }

  private async migrationFaults(): Promise<Fault[]> {
    if (this.environment.MIGRATIONS === 'off') {
      await ping(this.db);
      return [];
    }
    const journal = migrationJournal(this.environment);
    const status = await migrationStatus(this.db, { journal });
    return describeFaults(status).map((message) => ({ path: 'migrations', message }));
  }
}
