import type { ModuleMetadata, Provider, Type } from '@nestjs/common';
import { ChangesController } from '../changes/changes.controller.js';
import { changesProviders } from '../changes/changes.providers.js';
import type { Db } from '../db/connection.js';
import { getDatabaseToken } from '../db/database.module.js';
import { createEntityFactory } from '../db/entity/entity.factory.js';
import type { EntityRow } from '../db/entity/entity.js';
import { ExportController } from './transfer/export.controller.js';
import { ImportController } from './transfer/import.controller.js';
import { Transfers } from './transfer/transfers.js';
import { EntityController } from './entity.controller.js';
import type { EntityResource } from './entity-resource.js';

interface EntityModuleOptions {
  /** If true, the module also serves `GET /<path>/export` and `POST /<path>/import`. */
  transfer?: boolean;
  /** Controllers with literal paths below the entity's path. They must come before `:id`. */
  controllers?: Type<object>[];
  /** A subclass of `EntityController(resource)` that replaces it. */
  controller?: Type<object>;
  /** The name of a database of DatabaseModule; default: the default database. */
  database?: string;
}

/**
 * Returns the metadata of a module that serves an entity with list, reads, writes, history, change feed and
 * live streams: `@Module(entityModule(SKILLS)) export class SkillsModule {}`.
 */
export function entityModule<Row extends EntityRow, Values extends object>(
  resource: EntityResource<Row, Values>,
  options: EntityModuleOptions = {},
): ModuleMetadata {
  const { controllers = [], controller = EntityController(resource), database } = options;
  const { rows, changes } = resource.tokens;
  const transfer = options.transfer ? [ImportController(resource), ExportController(resource)] : [];
  return {
    controllers: [...controllers, ...transfer, ChangesController(resource), controller],
    providers: entityProviders(resource, database),
    exports: [rows, changes],
  };
}

function entityProviders<Row extends EntityRow, Values extends object>(
  resource: EntityResource<Row, Values>,
  database?: string,
): Provider[] {
  const { tokens, entity } = resource;
  return [
    { provide: tokens.database, useExisting: getDatabaseToken(database) },
    {
      provide: tokens.rows,
      inject: [tokens.database],
      useFactory: (db: Db) => createEntityFactory(db, entity),
    },
    ...changesProviders(resource),
    { provide: Transfers, inject: [tokens.database], useFactory: (db: Db) => new Transfers(db) },
  ];
}
