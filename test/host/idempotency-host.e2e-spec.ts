import { createHash, randomUUID } from 'node:crypto';
import { type CanActivate, Controller, type ExecutionContext, Module } from '@nestjs/common';
import { type INestApplication, Inject, Post, Req, Res, UseFilters } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import type { Request, Response } from 'express';
import postgres from 'postgres';
import request from 'supertest';
import type { Db } from '../../src/db/connection.js';
import { DatabaseModule, getDatabaseToken } from '../../src/db/database.module.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { authorOf } from '../../src/http/contract/author.js';
import { withIdempotencyKey } from '../../src/http/answers/idempotency.js';
import { ProblemFilter } from '../../src/http/contract/problem.filter.js';
import { ProjectsModule } from '../../src/projects/projects.module.js';
import { aProject } from '../support/builders.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const LIST = '/company/v3/projects';
const LINES = '/company/v3/lines';

/** Identifies a caller by a header and stores it on the request, like a guard. */
class BadgeGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const req = context.switchToHttp().getRequest<Request & { user?: object }>();
    if (req.headers.badge) req.user = { sub: req.headers.badge };
    return true;
  }
}

let started = 0;

/** A route of a host that creates a project for each line while the body arrives. */
@Controller('lines')
@UseFilters(ProblemFilter)
class LinesController {
  constructor(@Inject(getDatabaseToken('catalogue')) private readonly db: Db) {}

  @Post(['', 'more'])
  async create(@Req() req: Request, @Res({ passthrough: true }) res: Response) {
    const hash = createHash('sha256');
    const chunks = async function* () {
      for await (const chunk of req as AsyncIterable<Buffer>) {
        hash.update(chunk);
        yield chunk.toString();
      }
    };
    const bodyDigest = async () => {
      for await (const chunk of chunks()) void chunk;
      return hash.digest('base64url');
    };
    return await withIdempotencyKey(this.db, { req, res, bodyDigest }, async (tx = this.db) => {
      started++;
      const projects = createProjectsFactory(tx);
      let created = 0;
      for await (const text of chunks()) {
        for (const name of text.split('\n').filter((line) => line !== '')) {
          await projects.createProject(aProject({ name }), authorOf(req, res));
          created++;
        }
      }
      return { status: 202, headers: { Location: LINES }, body: { created } };
    });
  }
}

let database: TestDatabase;
let app: INestApplication;
let url: string;
let sql: postgres.Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  @Module({
    imports: [
      DatabaseModule.forRoot({
        name: 'catalogue',
        url: database.url,
        acquire_timeout_ms: 20_000,
      }),
      ProjectsModule.forDatabase('catalogue'),
    ],
    controllers: [LinesController],
  })
  class HostModule {}
  app = await NestFactory.create(HostModule, new ExpressAdapter(), { logger: false });
  app.setGlobalPrefix('company/v3');
  app.useGlobalGuards(new BadgeGuard());
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
  sql = postgres(database.url, { max: 1, onnotice: () => {} });
});
afterAll(async () => {
  await sql.end();
  await app.close();
  await database.drop();
});

function post(path: string, key: string, badge = ''): request.Test {
  return request(url).post(path).set('Idempotency-Key', key).set('Badge', badge);
}

describe('in a host with its own adapter, prefix, guards and a named database', () => {
  it('a key gives sixteen concurrent requests one row and one answer', async () => {
    const project = aProject();
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 16 }, () => post(LIST, key).send(project)),
    );
    const distinct = new Set(
      answers.map(({ status, text, headers: { location, etag } }) =>
        JSON.stringify([status, text, location, etag]),
      ),
    );
    expect(distinct.size).toBe(1);
    const replayed = answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true');
    expect(replayed).toHaveLength(15);
    const { status, body, headers } = answers[0]!;
    expect(status).toBe(201);
    expect(headers).toMatchObject({ location: `${LIST}/${body.data.id}`, etag: '"1"' });
    expect(await sql`select id from projects where name = ${project.name}`).toHaveLength(1);
  });

  it('the keys of two callers and of unknown callers are separate', async () => {
    const key = randomUUID();
    const ids = new Set<string>();
    for (const badge of ['ada', 'grace', '']) {
      const project = aProject();
      const first = await post(LIST, key, badge).send(project).expect(201);
      expect(first.headers).not.toHaveProperty('idempotency-replayed');
      const again = await post(LIST, key, badge).send(project).expect(201, first.text);
      expect(again.headers['idempotency-replayed']).toBe('true');
      ids.add(first.body.data.id);
      const [change] = await sql`select actor from changes where entity_id = ${first.body.data.id}`;
      expect(change).toEqual({ actor: badge });
    }
    expect(ids.size).toBe(3);
    await post(LIST, key, 'ada').send(aProject()).expect(422);
  });

  it('a batch writes to the named database completely or not at all', async () => {
    const project = aProject();
    const operations = [
      { op: 'create', project },
      { op: 'delete', id: randomUUID() },
    ];
    const batch = () => post(`${LIST}/batch`, randomUUID(), 'ada').send({ operations });
    await batch().expect(404);
    operations.pop();
    const { body } = await batch().expect(200);
    const rows = await sql`select id from projects where name = ${project.name}`;
    expect(rows).toEqual([{ id: body.data[0].project.id }]);
  });
});

describe('a streamed body with an Idempotency-Key', () => {
  const send = (key: string, lines: string[], path = LINES) =>
    post(path, key).type('text/plain').send(lines.join('\n'));
  const count = async (name: string) =>
    (await sql`select id from projects where name = ${name}`).length;

  it('is executed once, and only the same bytes at the same path and query get the answer again', async () => {
    const key = randomUUID();
    const [name, other] = [randomUUID(), randomUUID()];
    started = 0;
    const first = await send(key, [name, name]).expect(202, { created: 2 });
    const again = await send(key, [name, name]).expect(202, { created: 2 });
    expect([first, again].map(({ headers }) => headers['idempotency-replayed'])).toEqual([
      undefined,
      'true',
    ]);
    expect(again.headers.location).toBe(LINES);
    await send(key, [name, other]).expect(422, /idempotency_key_reused/);
    await send(key, [name, name], `${LINES}/more`).expect(422, /idempotency_key_reused/);
    await send(key, [name, name], `${LINES}?more`).expect(422, /idempotency_key_reused/);
    expect([await count(name), await count(other), started]).toEqual([2, 0, 1]);
  });

  it('leaves nothing stored and the key free when it fails in the middle', async () => {
    const key = randomUUID();
    const name = randomUUID();
    await send(key, [name, ' ']).expect(400, /invalid_value/);
    expect(await count(name)).toBe(0);
    await send(key, [name, 'fine']).expect(202, { created: 2 });
    expect(await count(name)).toBe(1);
  });
});
