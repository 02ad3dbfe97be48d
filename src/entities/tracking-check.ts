import type { OnApplicationBootstrap, Provider } from '@nestjs/common';
import type { Db } from '../db/connection.js';
import type { Entity } from '../db/entity/entity.js';
import { trackingFault } from '../db/entity/tracking.js';
import { asDataError } from '../db/errors.js';
import { ExplainedError } from '../db/explain-error.js';

/** The token of a setting: true if the application applies its migrations only after it has started. */
export const MIGRATES_AFTER_START = Symbol('MIGRATES_AFTER_START');

/** The databases that did not answer. The modules of further entities do not wait for them again. */
const unavailable = new WeakSet<Db>();

/**
 * Prevents the start of an application if `track_changes` was forgotten for the table of an entity. Otherwise rows
 * would be written without versions and history, which cannot be repaired later. It does not check a table that does
 * not exist yet, nor a database that is not available.
 */
class TrackingCheck implements OnApplicationBootstrap {
  constructor(
    private readonly db: Db,
    private readonly entity: Entity,
    private readonly migratesLater: boolean,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    if (this.migratesLater || unavailable.has(this.db)) return;
    const fault = await trackingFault(this.db, this.entity).catch((error: unknown) => {
      if (!asDataError(error)) throw error;
      unavailable.add(this.db);
      return undefined;
    });
    if (fault) throw new ExplainedError(fault);
  }
}

/** Returns the check as a provider for the module of an entity. */
export function trackingCheck(entity: Entity, database: symbol): Provider {
  return {
    provide: TrackingCheck,
    inject: [database, { token: MIGRATES_AFTER_START, optional: true }],
    useFactory: (db: Db, migratesLater: boolean = false) =>
      new TrackingCheck(db, entity, migratesLater),
  };
}
