import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { Fault } from '../http/problems/problem.js';
import { DatabaseProbe } from './database-probe.js';

/**
 * Decides whether this instance can take requests. It is not ready while it shuts down, while the
 * database is unavailable, and, unless MIGRATIONS is off, while the database lacks migrations of this
 * version or contradicts them. Additional migrations of a newer version do not count.
 */
@Injectable()
export class Readiness implements OnModuleDestroy {
  #stopping = false;
  #hasStarted = false;

  constructor(private readonly database: DatabaseProbe) {}

  /** True after the service has been ready once. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** Makes the service not ready, because it is about to stop. */
  onModuleDestroy(): void {
    this.#stopping = true;
  }

  /** Returns the reasons why the service is not ready; empty if it is ready. */
  async faults(): Promise<Fault[]> {
    if (this.#stopping) return [{ path: 'service', message: 'is shutting down' }];
    const faults = await this.database.faults();
    if (faults.length === 0) this.#hasStarted = true;
    return faults;
  }
}
