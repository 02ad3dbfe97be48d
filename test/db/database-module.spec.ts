import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { Inject, Injectable, Module, type ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { sql } from 'drizzle-orm';
import { pgTable, text } from 'drizzle-orm/pg-core';
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import request from 'supertest';
import { createDatabaseConnection, type Db } from '../../src/db/connection.js';
import {
  DATABASE,
  DatabaseModule,
  getDatabaseToken,
  InjectDatabase,
} from '../../src/db/database.module.js';
import {
  createProjectsFactory,
  type ProjectsFactory,
} from '../../src/db/factories/projects/projects.factory.js';
import { ProjectsModule } from '../../src/projects/projects.module.js';
import { PROJECTS_FACTORY } from '../../src/projects/projects.tokens.js';
import { aProject } from '../support/builders.js';
import { built } from '../support/built.js';
import { atEnd, endEachTest, until } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let first: TestDatabase;
let second: TestDatabase;
beforeAll(async () => {
  [first, second] = await Promise.all([createTestDatabase(), createTestDatabase()]);
});
afterAll(async () => {
  await first.drop();
  await second.drop();
});
endEachTest();

/** Starts an application with these modules. It is closed when the test ends, unless the test has closed it. */
async function start(...imports: NonNullable<ModuleMetadata['imports']>): Promise<TestingModule> {
  const testing = await Test.createTestingModule({ imports }).compile();
  atEnd(() => testing.close());
  return await testing.init();
}

/** Returns the name of the connected database and the application name of the session. */
async function whoAnswers(db: Db): Promise<unknown> {
  const [row] = await db.execute(
    sql`select current_database() as database, current_setting('application_name') as name`,
  );
  return row;
}

function nameOf({ url }: TestDatabase): string {
  return new URL(url).pathname.slice(1);
}

async function sessionsNamed(name: string): Promise<number> {
  const observer = postgres(process.env.TEST_DATABASE_URL!, { max: 1 });
  const [row] = await observer`
    select count(*)::int as count from pg_stat_activity where application_name = ${name}`;
  await observer.end();
  return row!.count;
}

@Injectable()
class Reader {
  constructor(
    @Inject(DATABASE) readonly byToken: Db,
    @InjectDatabase() readonly byDecorator: Db,
  ) {}
}

@Module({ providers: [Reader] })
class ReaderModule {}

@Injectable()
class Archivist {
  @InjectDatabase() readonly main!: Db;
  constructor(@InjectDatabase('archive') readonly archive: Db) {}
}

@Module({ providers: [Archivist] })
class ArchiveModule {}

@Injectable()
class Settings {
  readonly database = { url: first.url, max: 2 };
}

@Module({ providers: [Settings], exports: [Settings] })
class SettingsModule {}

describe('DatabaseModule', () => {
  it('provides every module with the connection, by its token and by its decorator', async () => {
    const app = await start(
      DatabaseModule.forRoot({ url: first.url, application_name: 'for-root' }),
      ReaderModule,
    );
    const { byToken, byDecorator } = app.get(Reader);
    expect(byToken).toBe(byDecorator);
    expect(byToken).toBe(app.get(getDatabaseToken()));
    expect(await whoAnswers(byToken)).toEqual({ database: nameOf(first), name: 'for-root' });
  });

  it('accepts a configuration from providers of the application', async () => {
    const app = await start(
      DatabaseModule.forRootAsync({
        imports: [SettingsModule],
        inject: [Settings],
        useFactory: async ({ database }: Settings) => ({
          ...database,
          application_name: 'for-root-async',
        }),
      }),
      ReaderModule,
    );
    expect(await whoAnswers(app.get(Reader).byDecorator)).toEqual({
      database: nameOf(first),
      name: 'for-root-async',
    });
  });

  it('contains several databases, each by its name except for the default one', async () => {
    const app = await start(
      DatabaseModule.forRoot({ url: first.url, application_name: 'several' }),
      DatabaseModule.forRootAsync({
        name: 'archive',
        useFactory: () => ({ url: second.url, application_name: 'several' }),
      }),
      ArchiveModule,
    );
    const { main, archive } = app.get(Archivist);
    expect(await whoAnswers(main)).toMatchObject({ database: nameOf(first) });
    expect(await whoAnswers(archive)).toMatchObject({ database: nameOf(second) });
    expect(getDatabaseToken('archive')).not.toBe(getDatabaseToken('other'));
    expect(await sessionsNamed('several')).toBe(2);
    await app.close();
    expect(await sessionsNamed('several')).toBe(0);
  });

  it('is available only to the modules that import it when it is not global', async () => {
    const local = DatabaseModule.forRoot({ url: first.url, isGlobal: false });
    await expect(start(local, ReaderModule)).rejects.toThrow(/dependencies of the Reader/);
  });

  it('connects at the first query and not before, even if its database was unavailable for long', async () => {
    const app = await start(
      DatabaseModule.forRoot({ url: 'postgres://127.0.0.1:1/none' }),
      ReaderModule,
    );
    await expect(whoAnswers(app.get(Reader).byToken)).rejects.toThrow();
  });

  it('closes its connections at shutdown, after running statements have finished', async () => {
    const app = await start(
      DatabaseModule.forRoot({ url: first.url, application_name: 'closing' }),
      ReaderModule,
    );
    const { byToken } = app.get(Reader);
    const running = byToken.execute<{ done: string }>(sql`select 'yes' as done, pg_sleep(0.5)`);
    const idle = Promise.all([whoAnswers(byToken), whoAnswers(byToken)]);
    await until(async () => (await sessionsNamed('closing')) > 1);
    await idle;
    const closed = app.close();
    expect((await running)[0]!.done).toBe('yes');
    await closed;
    expect(await sessionsNamed('closing')).toBe(0);
    await expect(whoAnswers(byToken)).rejects.toMatchObject({
      cause: { code: 'database_unavailable' },
    });
    await app.close();
  });

  it('neither shares a pool between two applications nor closes the pool of the other', async () => {
    const config = { url: first.url, application_name: 'two-applications', max: 1 };
    const one = await start(DatabaseModule.forRoot(config), ReaderModule);
    const other = await start(DatabaseModule.forRoot(config), ReaderModule);
    const { byToken: ofOther } = other.get(Reader);
    expect(one.get(Reader).byToken).not.toBe(ofOther);
    await Promise.all([whoAnswers(one.get(Reader).byToken), whoAnswers(ofOther)]);
    expect(await sessionsNamed('two-applications')).toBe(2);

    await one.close();
    expect(await sessionsNamed('two-applications')).toBe(1);
    expect(await whoAnswers(ofOther)).toMatchObject({ database: nameOf(first) });
    await other.close();
    expect(await sessionsNamed('two-applications')).toBe(0);
  });

  it('leaves nothing open that keeps a process alive', async () => {
    await built();
    const module = path.resolve(import.meta.dirname, '../../dist/db/database.module.js');
    const script = `
      import { NestFactory } from '@nestjs/core';
      import { DATABASE, DatabaseModule } from ${JSON.stringify(module)};
      const app = await NestFactory.createApplicationContext(
        DatabaseModule.forRoot({ url: ${JSON.stringify(first.url)} }), { logger: false });
      await Promise.all([1, 2, 3].map(() => app.get(DATABASE).execute('select 1')));
      await app.close();
      process.on('exit', () => console.log('ended'));
    `;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      cwd: path.resolve(import.meta.dirname, '../..'),
      timeout: 10_000,
      encoding: 'utf8',
    });
    expect([stdout, stderr]).toEqual(['ended\n', '']);
  });
});

describe('a connection of the caller', () => {
  const own = pgTable('own', { name: text() });

  it.each([
    ['of createDatabaseConnection', () => createDatabaseConnection({ url: first.url })],
    [
      'of drizzle, which knows another schema',
      () => {
        const client = postgres(first.url);
        return { db: drizzle(client, { schema: { own } }), close: () => client.end() };
      },
    ],
    [
      'of drizzle without a schema',
      () => {
        const client = postgres(first.url);
        const db = drizzle(client);
        return { db, close: () => client.end() };
      },
    ],
  ])('%s is accepted, serves projects and is never closed', async (_, open) => {
    const { db, close } = open();
    atEnd(close);
    const app = await start(DatabaseModule.forRoot({ db }), ReaderModule, ProjectsModule);
    expect(app.get(Reader).byDecorator).toBe(db);
    const projects = app.get<ProjectsFactory>(PROJECTS_FACTORY);
    const { id } = await projects.createProject(aProject());
    await app.close();
    expect(await projects.getProject(id)).toMatchObject({ id, version: 1 });
  });
});

describe('ProjectsModule', () => {
  it('serves the database that it is given by name, over HTTP and as a provider', async () => {
    const testing = await Test.createTestingModule({
      imports: [
        DatabaseModule.forRoot({ url: first.url }),
        DatabaseModule.forRoot({ url: second.url, name: 'archive' }),
        ProjectsModule.forDatabase('archive'),
      ],
    }).compile();
    const app = testing.createNestApplication();
    atEnd(() => app.close());
    await app.init();

    const { body } = await request(app.getHttpServer()).post('/projects').send(aProject());
    const { id } = body.data;
    const factoryOn = (name?: string) => createProjectsFactory(app.get(getDatabaseToken(name)));
    expect(await factoryOn('archive').getProject(id)).toMatchObject({ id });
    expect(await app.get<ProjectsFactory>(PROJECTS_FACTORY).getProject(id)).toMatchObject({ id });
    await expect(factoryOn().getProject(id)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('needs no default database when it is given another one', async () => {
    const app = await start(
      DatabaseModule.forRoot({ url: second.url, name: 'archive' }),
      ProjectsModule.forDatabase('archive'),
    );
    expect(await app.get<ProjectsFactory>(PROJECTS_FACTORY).getAllProjects(1)).toEqual(
      expect.any(Array),
    );
  });
});
