import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { Fault } from '../http/problems/problem.js';
import { DatabaseProbe } from './database-probe.js';

/**
 * Whether requests may be sent here: not while the service stops, without a database, or, unless
 * MIGRATIONS is off, while its migrations are not those of this code.
 */
@Injectable()
export class Readiness implements OnModuleDestroy {
  #stopping = false;
  #hasStarted = false;

  constructor(private readonly database: DatabaseProbe) {}

  /** The service has been ready once. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** From now on the service is not ready: it is about to stop. */
  onModuleDestroy(): void {
    this.#stopping = true;
  }

  /** The reasons not to send requests here; none when it is ready. */
  async faults(): Promise<Fault[]> {
    if (this.#stopping) return [{ path: 'service', message: 'is shutting down' }];
    const faults = await this.database.faults();
    if (faults.length === 0) this.#hasStarted = true;
    return faults;
  }
}
