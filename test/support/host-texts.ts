/** A foreign application with its own conventions that has installed the package. */
export const HOST_APPLICATION = `
  import 'reflect-metadata';
  import {
    type CanActivate, Controller, type ExecutionContext, ForbiddenException, Get, Inject, Injectable,
    Module, ValidationPipe,
  } from '@nestjs/common';
  import { NestFactory } from '@nestjs/core';
  import {
    createDatabaseConnection, createProjectsFactory, DatabaseModule, type Db, InjectDatabase,
    inTransaction, migrate, migrationStatus, type Project, PROJECTS_FACTORY, type ProjectsFactory,
    ProjectsModule,
  } from 'projects-service';

  const url = process.env.DATABASE_URL!;
  const pool = createDatabaseConnection({ url, application_name: 'host' });

  @Injectable()
  class BadgeGuard implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      if (context.switchToHttp().getRequest().headers.badge === undefined) {
        throw new ForbiddenException();
      }
      return true;
    }
  }

  @Controller('reports')
  class ReportsController {
    constructor(
      @Inject(PROJECTS_FACTORY) private readonly projects: ProjectsFactory,
      @InjectDatabase() private readonly db: Db,
    ) {}

    @Get()
    async names(): Promise<string[]> {
      const [first]: Project[] = await this.projects.getAllProjects(1);
      // @ts-expect-error the types are those of the table, not any
      const wrong: number | undefined = first?.name;
      const inside = await inTransaction(this.db, (tx) => createProjectsFactory(tx).getAllProjects());
      return inside.map(({ name }) => name);
    }
  }

  @Injectable()
  class Settings {
    readonly db = pool.db;
  }

  @Module({ providers: [Settings], exports: [Settings] })
  class SettingsModule {}

  const database =
    process.env.VARIANT === 'forRootAsync'
      ? DatabaseModule.forRootAsync({
          imports: [SettingsModule],
          inject: [Settings],
          useFactory: async ({ db }: Settings) => ({ db }),
        })
      : DatabaseModule.forRoot({ db: pool.db });

  @Module({ imports: [database, ProjectsModule], controllers: [ReportsController] })
  class HostModule {}

  await migrate({ url });
  const { pending } = await migrationStatus(pool.db);
  if (pending.length > 0) throw new Error('pending: ' + pending.join());
  const app = await NestFactory.create(HostModule, { logger: ['error', 'warn'] });
  app.setGlobalPrefix('company/v3');
  app.useGlobalPipes(new ValidationPipe({ whitelist: true, transform: true }));
  app.useGlobalGuards(new BadgeGuard());
  await app.listen(0, '127.0.0.1');
  console.log(await app.getUrl());
  process.stdin.once('data', async () => {
    await app.close();
    await createProjectsFactory(pool.db).getAllProjects();
    console.log('the pool serves');
    await pool.close();
    process.stdin.destroy();
  });
`;

/** Only imports the package. */
export const IMPORT_ONLY = `
  process.env.DATABASE_URL = 'not a URL';
  const exported = await import('projects-service');
  console.log(JSON.stringify({ exported: Object.keys(exported), open: process.getActiveResourcesInfo() }));
`;
