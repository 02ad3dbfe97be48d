import type { DynamicModule } from '@nestjs/common';
import { Module } from '@nestjs/common';
import type { Db } from '../../db/connection.js';
import { getDatabaseToken } from '../../db/database.module.js';
import { optionalPackage } from '../../process/optional-package.js';
import { createProjectOperations } from './project-operations.js';
import { PROJECT_OPERATIONS } from './project-operations.token.js';

/**
 * The operations on projects as message patterns, for an application that serves messages by
 * `@nestjs/microservices`. Connect with `inheritAppConfig: true`, or global guards are not asked.
 */
@Module({})
export class ProjectMessagesModule {
  /** On the default database, or a named one. Rejects where `@nestjs/microservices` is not installed. */
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
