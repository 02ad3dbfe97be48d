import type { DynamicModule } from '@nestjs/common';
import { Module } from '@nestjs/common';
import type { Db } from '../../db/connection.js';
import { getDatabaseToken } from '../../db/database.module.js';
import { optionalPackage } from '../../process/optional-package.js';
import { createProjectOperations } from './project-operations.js';
import { PROJECT_OPERATIONS } from './project-operations.token.js';

/**
 * Serves the operations on projects as message patterns, for an application with `@nestjs/microservices`. Connect the
 * microservice with `inheritAppConfig: true`, otherwise Nest does not run global guards.
 */
@Module({})
export class ProjectMessagesModule {
  /** Returns the module on the default or a named database. Rejects if `@nestjs/microservices` is not installed. */
  static async register(database?: string): Promise<DynamicModule> {
    const { ProjectMessages } = await optionalPackage(
      '@nestjs/microservices',
      () => import('./project-messages.controller.js'),
      'ProjectMessagesModule',
    );
    return {
      module: ProjectMessagesModule,
      controllers: [ProjectMessages],
      providers: [
        {
          provide: PROJECT_OPERATIONS,
          inject: [getDatabaseToken(database)],
          useFactory: (db: Db) => createProjectOperations(db),
        },
      ],
    };
  }
}
