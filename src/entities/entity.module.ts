import type { ModuleMetadata, Provider, Type } from '@nestjs/common';
import { ChangesController } from '../changes/changes.controller.js';
import { changesProviders } from '../changes/changes.providers.js';
import type { Db } from '../db/connection.js';
import { getDatabaseToken } from '../db/database.module.js';
import { createEntityFactory } from '../db/entity/entity.factory.js';
import type { EntityRow } from '../db/entity/entity.js';
import { BODY_LIMIT } from '../http/contract/body.guard.js';
import { hostCheck } from '../http/contract/host-check.js';
import { completeRoutes } from '../http/contract/resource-controller.js';
import { EntityHousekeeping } from './entity-housekeeping.js';
import { ExportController } from './transfer/export.controller.js';
import { ImportController } from './transfer/import.controller.js';
import { Transfers } from './transfer/transfers.js';
import { EntityController } from './entity.controller.js';
import type { EntityResource } from './entity-resource.js';
import { trackingCheck } from './tracking-check.js';

interface EntityModuleOptions {
  /** If true, the module also serves `GET /<path>/export` and `POST /<path>/import`. */
  transfer?: boolean;
  /** Controllers with literal paths below the entity's path. They must come before `:id`. */
  controllers?: Type<object>[];
  /** A subclass of `EntityController(resource)` that replaces it. Its own routes are validated like the others. */
  controller?: Type<object>;
  /** The name of a database of DatabaseModule; default: the default database. */
  database?: string;
  /**
   * The number of days after which the changes of all entities of the database are removed from history and feed;
   * default: they are kept. If several modules set it, the smallest number counts.
   */
  historyRetentionDays?: number;
  /** The maximum size of a JSON body, such as `500kb`; default `1mb`. A body parser of the application runs first. */
  bodyLimit?: string;
}

/**
 * Returns the metadata of a module that serves an entity with list, reads, writes, history, change feed and
 * live streams: `@Module(entityModule(SKILLS)) export class SkillsModule {}`. The application does not start if
 * `track_changes` was not called for the table.
 */
export function entityModule<Row extends EntityRow, Values extends object>(
  resource: EntityResource<Row, Values>,
  options: EntityModuleOptions = {},
): ModuleMetadata {
  const { controllers = [], controller = EntityController(resource) } = options;
  completeRoutes(controller);
  const { rows, changes } = resource.tokens;
  const transfer = options.transfer ? [ImportController(resource), ExportController(resource)] : [];
  return {
    controllers: [...controllers, ...transfer, ChangesController(resource), controller],
    providers: entityProviders(resource, options),
    exports: [rows, changes],
  };
}

function entityProviders<Row extends EntityRow, Values extends object>(
  resource: EntityResource<Row, Values>,
  { database, bodyLimit, historyRetentionDays }: EntityModuleOptions,
): Provider[] {
  const { tokens, entity, path } = resource;
  const inject = [tokens.database];
  return [
    hostCheck(`The module of ${path}`),
    { provide: tokens.database, useExisting: getDatabaseToken(database) },
    {
      provide: tokens.rows,
      inject,
      useFactory: (db: Db) => createEntityFactory(db, entity),
    },
    ...changesProviders(resource),
    trackingCheck(entity, tokens.database),
    { provide: Transfers, inject, useFactory: (db: Db) => new Transfers(db) },
    {
      provide: EntityHousekeeping,
      inject,
      useFactory: (db: Db) => new EntityHousekeeping(db, { historyRetentionDays }),
    },
    ...(bodyLimit ? [{ provide: BODY_LIMIT, useValue: bodyLimit }] : []),
  ];
}
