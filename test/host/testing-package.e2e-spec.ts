import { type ExecFileException, execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { createTestDatabase, startTestServer } from '../../src/testing/index.js';
import { built, ROOT } from '../support/built.js';

/** The host application that docs/testing.md tests: it has its own table and a guard. */
const HOST = `
  import 'reflect-metadata';
  import {
    type CanActivate, type ExecutionContext, ForbiddenException, type INestApplication, Module,
  } from '@nestjs/common';
  import { NestFactory } from '@nestjs/core';
  import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
  import { pgTable, text, uuid, integer } from 'drizzle-orm/pg-core';
  import {
    completeOpenApiDocument, createDatabaseConnection, createTimestamps, DatabaseModule, defineEntity,
    EntityDto, entityModule, entityResource, ProjectsModule, TextField,
  } from 'projects-service';

  const notes = pgTable('notes', {
    id: uuid('id').primaryKey().defaultRandom(),
    text: text('text').notNull(),
    ...createTimestamps(),
    version: integer('version').notNull().default(1),
  });

  export async function migrateOwnTables(url: string): Promise<void> {
    const { db, close } = createDatabaseConnection({ url });
    await db.execute(\`create table notes (
      id uuid primary key default gen_random_uuid(), text text not null,
      created_at timestamptz(3) not null default now(), updated_at timestamptz(3) not null default now(),
      version integer not null default 1)\`);
    await db.execute("select track_changes('notes', 'note')");
    await close();
  }

  class NoteDto extends EntityDto {
    @TextField({ min: 1, max: 100 })
    text!: string;
  }
  const NOTES = entityResource(defineEntity({ name: 'note', table: notes, written: ['text'] }), {
    path: 'notes',
    dto: NoteDto,
  });

  @Module(entityModule(NOTES))
  class NotesModule {}

  class BadgeGuard implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
      if (process.env.BROKEN_GUARD || headers.badge) return true;
      throw new ForbiddenException();
    }
  }

  export async function createApp(url: string): Promise<INestApplication> {
    @Module({ imports: [DatabaseModule.forRoot({ url }), NotesModule, ProjectsModule] })
    class HostModule {}
    const app = await NestFactory.create(HostModule, { logger: false });
    app.useGlobalGuards(new BadgeGuard());
    return app;
  }

  export function createDocument(app: INestApplication): OpenAPIObject {
    const config = new DocumentBuilder().setOpenAPIVersion('3.0.3').build();
    return completeOpenApiDocument(SwaggerModule.createDocument(app, config));
  }
`;

/** The older compiler, which hosts still use. The other tests use TypeScript 7. */
const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
let folder: string;
let compiled: Awaited<ReturnType<typeof node>>;
beforeAll(async () => {
  await built('--declarations');
  await mkdir(path.join(ROOT, '.data'), { recursive: true });
  folder = await mkdtemp(path.join(ROOT, '.data/host-'));
  for (const name of ['node_modules', 'src', 'test']) await mkdir(path.join(folder, name));
  await symlink(ROOT, path.join(folder, 'node_modules/projects-service'));
  await write('src/notes.ts', HOST);
  await write('package.json', '{ "private": true, "type": "module" }');
  await write(
    'tsconfig.json',
    JSON.stringify({
      compilerOptions: {
        module: 'nodenext',
        target: 'es2023',
        strict: true,
        skipLibCheck: true,
        experimentalDecorators: true,
        emitDecoratorMetadata: true,
        types: ['node'],
        outDir: 'dist',
        rootDir: '.',
      },
      include: ['src', 'test'],
    }),
  );
  const page = await readFile(path.join(ROOT, 'docs/testing.md'), 'utf8');
  const files = [...page.matchAll(/^<!-- write (.*) -->\n\n```ts\n([\s\S]*?)^```$/gm)];
  expect(files.map(([, file]) => file)).toEqual([
    'test/global-setup.ts',
    'test/run.ts',
    'test/notes.test.ts',
  ]);
  for (const [, file, code] of files) await write(file!, code!);
  compiled = await node([tsc]);
}, 120_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

function write(file: string, text: string): Promise<void> {
  return writeFile(path.join(folder, file), text);
}

/** Runs Node in the folder of the host; resolves with its output and its exit code. */
async function node(args: string[], env: Record<string, string> = {}) {
  // Without this variable node:test does not report to the current test run.
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...own } = process.env;
  const options = { cwd: folder, env: { ...own, ...env } };
  return await promisify(execFile)(process.execPath, args, options).then(
    ({ stdout }) => ({ code: 0, stdout }),
    ({ code, stdout }: ExecFileException) => ({ code, stdout: String(stdout) }),
  );
}

it('projects-service/testing compiles for a host, and its example passes with node:test on its own server', async () => {
  expect(compiled).toEqual({ code: 0, stdout: '' });
  const { code, stdout } = await node(['dist/test/run.js'], { TEST_SERVER_URL: '' });
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^. pass 4$/m)]);
}, 120_000);

it('its example fails when a guard of the host accepts everybody', async () => {
  const { code, stdout } = await node(['dist/test/run.js'], { BROKEN_GUARD: 'yes' });
  expect([code, stdout]).toEqual([1, expect.stringMatching(/^. fail 1$/m)]);
  expect(stdout).toContain('every route refuses a caller without a badge');
}, 120_000);

describe('a test database', () => {
  const url = process.env.TEST_DATABASE_URL!;

  it('reports an invalid name of a template and a missing server', async () => {
    await expect(createTestDatabase(url, 'never_made')).rejects.toThrow(
      'There is no template never_made: pass it to startTestServer.',
    );
    await expect(createTestDatabase(url, 'Made; drop')).rejects.toThrow(
      'The name of the template Made; drop must match [a-z][a-z0-9_]{0,36}.',
    );
    await expect(createTestDatabase(undefined)).rejects.toThrow(
      'createTestDatabase needs the url of the server that startTestServer returned.',
    );
  });

  it('is copied from a template of a running server until that is stopped', async () => {
    const filled: string[] = [];
    const fill = async (template: string) => filled.push(new URL(template).pathname);
    const start = () => startTestServer({ url, templates: { of_a_host: fill } });
    await start(); // the run looks as if it was killed
    const server = await start();
    expect(filled).toEqual(Array(2).fill('/projects_service_template_of_a_host'));
    await (await createTestDatabase(server.url, 'of_a_host')).drop();
    await server.stop();
    await expect(createTestDatabase(server.url, 'of_a_host')).rejects.toThrow('no template');
  });

  it('is not created when a template fails', async () => {
    const fail = () => Promise.reject(new Error('a migration failed'));
    const templates = { failing: fail };
    await expect(startTestServer({ url, templates })).rejects.toThrow('a migration failed');
    await expect(createTestDatabase(url, 'failing')).rejects.toThrow('no template');
  });
});
