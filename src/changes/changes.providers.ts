import type { Provider } from '@nestjs/common';
import type { Db } from '../db/connection.js';
import { createChangesFactory } from '../db/entity/changes.factory.js';
import { ChangeStreams } from './change-streams.js';
import type { TrackedEntity } from './tracked-entity.js';

/**
 * Returns the providers that `ChangesController` needs in its module: the factory of the changes, and the
 * live streams, which end with the application.
 */
export function changesProviders({ name, tokens }: TrackedEntity<never>): Provider[] {
  const inject = [tokens.database];
  return [
    {
      provide: tokens.changes,
      inject,
      useFactory: (db: Db) => createChangesFactory(db, name),
    },
    { provide: ChangeStreams, inject, useFactory: (db: Db) => new ChangeStreams(db, name) },
  ];
}
