import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { ChangesController } from '../changes/changes.controller.js';
import { changesProviders } from '../changes/changes.providers.js';
import type { Db } from '../db/connection.js';
import { getDatabaseToken } from '../db/database.module.js';
import { createProjectsFactory } from '../db/factories/projects/projects.factory.js';
import { BODY_LIMIT } from '../http/contract/body.guard.js';
import { hostCheck } from '../http/contract/host-check.js';
import { BatchController } from './batch.controller.js';
import { ExportProjectsQuery } from './dto/export-projects.query.js';
import { toEntityFactory } from './project-rows.js';
import { PROJECTS } from './projects.resource.js';
import { ProjectsController } from './projects.controller.js';
import {
  CHANGES_FACTORY,
  HISTORY_RETENTION_DAYS,
  PROJECTS_DATABASE,
  PROJECTS_FACTORY,
} from './projects.tokens.js';
import { TECHNOLOGY_COUNTS } from './technology-counts.js';
import { EntityHousekeeping } from '../entities/entity-housekeeping.js';
import { ExportController } from '../entities/transfer/export.controller.js';
import { ImportController } from '../entities/transfer/import.controller.js';
import { Transfers } from '../entities/transfer/transfers.js';

export interface ProjectsModuleOptions {
  /** The number of days after which changes are removed from history and feed; 0, the default, keeps all. */
  historyRetentionDays?: number;
  /** The maximum size of a JSON body, such as `500kb`; default `1mb`. A body parser of the application runs first, with its own limit. */
  bodyLimit?: string;
}

/** Serves projects over HTTP and provides their functional factories, on the default database. */
@Module({
  // Controllers with literal paths must come before those with `:id`.
  controllers: [
    BatchController,
    ImportController(PROJECTS),
    ExportController(PROJECTS, ExportProjectsQuery),
    ChangesController(PROJECTS),
    ProjectsController,
  ],
  providers: providers(),
  exports: [PROJECTS_FACTORY, CHANGES_FACTORY],
})
export class ProjectsModule {
  /** Returns the module with these options. */
  static forRoot(options: ProjectsModuleOptions): DynamicModule {
    return { module: ProjectsModule, providers: providers(options) };
  }

  /** Returns the module on a named database of DatabaseModule. */
  static forDatabase(name: string, options: ProjectsModuleOptions = {}): DynamicModule {
    return { module: ProjectsModule, providers: providers(options, name) };
  }
}

function providers(options: ProjectsModuleOptions = {}, database?: string): Provider[] {
  const inject = [PROJECTS_DATABASE];
  return [
    hostCheck('ProjectsModule', () => ProjectsModule),
    { provide: PROJECTS_DATABASE, useExisting: getDatabaseToken(database) },
    {
      provide: PROJECTS_FACTORY,
      inject,
      useFactory: (db: Db) => createProjectsFactory(db),
    },
    { provide: PROJECTS.tokens.rows, inject: [PROJECTS_FACTORY], useFactory: toEntityFactory },
    ...changesProviders(PROJECTS),
    { provide: Transfers, inject, useFactory: (db: Db) => new Transfers(db) },
    {
      provide: EntityHousekeeping,
      inject: [PROJECTS_DATABASE, { token: HISTORY_RETENTION_DAYS, optional: true }],
      useFactory: (db: Db, days?: number) =>
        new EntityHousekeeping(db, {
          historyRetentionDays: options.historyRetentionDays ?? days,
          tasks: [TECHNOLOGY_COUNTS],
        }),
    },
    ...(options.bodyLimit ? [{ provide: BODY_LIMIT, useValue: options.bodyLimit }] : []),
  ];
}
