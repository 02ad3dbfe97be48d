import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import type { Db } from '../db/connection.js';
import { getDatabaseToken } from '../db/database.module.js';
import { createProjectsFactory } from '../db/factories/projects.factory.js';
import { BatchController } from './batch.controller.js';
import { ExportController } from './export.controller.js';
import { ImportController } from './import.controller.js';
import { ProjectsController } from './projects.controller.js';
import { PROJECTS_DATABASE, PROJECTS_FACTORY } from './projects.tokens.js';
import { Transfers } from './transfer/transfers.js';

/** Projects over HTTP, and the functional factory as a provider, on the default database. */
@Module({
  // Literal paths before `:id`.
  controllers: [BatchController, ImportController, ExportController, ProjectsController],
  providers: providersOn(),
  exports: [PROJECTS_FACTORY],
})
export class ProjectsModule {
  /** The same on a named database of DatabaseModule. */
  static forDatabase(name: string): DynamicModule {
    return { module: ProjectsModule, providers: providersOn(name) };
  }
}

function providersOn(database?: string): Provider[] {
  return [
    { provide: PROJECTS_DATABASE, useExisting: getDatabaseToken(database) },
    { provide: Transfers, inject: [PROJECTS_DATABASE], useFactory: (db: Db) => new Transfers(db) },
    {
      provide: PROJECTS_FACTORY,
      inject: [PROJECTS_DATABASE],
      useFactory: (db: Db) => createProjectsFactory(db),
    },
  ];
}
