import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { ChangesController } from '../changes/changes.controller.js';
import { ChangeStreams } from '../changes/change-streams.js';
import { CHANGES_FACTORY } from '../changes/changes.tokens.js';
import type { Db } from '../db/connection.js';
import { getDatabaseToken } from '../db/database.module.js';
import { createChangesFactory } from '../db/factories/changes.factory.js';
import { createProjectsFactory } from '../db/factories/projects.factory.js';
import { ProjectsController } from './projects.controller.js';
import { PROJECTS_FACTORY } from './projects.tokens.js';

/** Projects over HTTP, and the functional factories as providers, on the default database. */
@Module({
  // Literal paths come before `:id`.
  controllers: [ChangesController, ProjectsController],
  providers: providers(),
  exports: [PROJECTS_FACTORY, CHANGES_FACTORY],
})
export class ProjectsModule {
  /** The same on a named database of DatabaseModule. */
  static forDatabase(name: string): DynamicModule {
    return { module: ProjectsModule, providers: providers(name) };
  }
}

function providers(database?: string): Provider[] {
  const inject = [getDatabaseToken(database)];
  return [
    {
      provide: PROJECTS_FACTORY,
      inject,
      useFactory: (db: Db) => createProjectsFactory(db),
    },
    {
      provide: CHANGES_FACTORY,
      inject,
      useFactory: (db: Db) => createChangesFactory(db, 'project'),
    },
    { provide: ChangeStreams, inject, useFactory: (db: Db) => new ChangeStreams(db) },
  ];
}
