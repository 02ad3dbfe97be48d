import { randomUUID } from 'node:crypto';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { integer, pgSchema, timestamp } from 'drizzle-orm/pg-core';
import postgres from 'postgres';
import request from 'supertest';
import {
  createDatabaseConnection,
  createEntityFactory,
  DatabaseModule,
  type DatabaseConnection,
  oneOf,
  ProjectsModule,
} from '../src/index.js';
import { SKILL, SKILLS_MIGRATION, SkillsModule } from './support/skills.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';

let database: TestDatabase;
let connection: DatabaseConnection;
let sql: postgres.Sql;
let app: NestExpressApplication;
let url: string;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => {} });
  await sql.unsafe(SKILLS_MIGRATION);
  connection = createDatabaseConnection({ url: database.url });
  @Module({
    imports: [DatabaseModule.forRoot({ db: connection.db }), SkillsModule, ProjectsModule],
  })
  class HostModule {}
  app = await NestFactory.create<NestExpressApplication>(HostModule, { logger: false });
  app.setGlobalPrefix('company');
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
});
afterAll(async () => {
  await app.close();
  await connection.close();
  await sql.end();
  await database.drop();
});
beforeEach(() => sql`truncate host.skills`);

const api = () => request(url);
const PATH = '/company/skills';
const create = (name: string, category = 'language', proficiency = 3) =>
  api().post(PATH).send({ name, category, proficiency });
const namesOf = (body: { data: { name: string }[] }) => body.data.map(({ name }) => name);

describe("an entity of a host's own", () => {
  it('answers what was written, with its ETag and its path', async () => {
    const { status, headers, body } = await create(' Go ');
    const { id, createdAt } = body.data;
    expect({ status, body }).toEqual({
      status: 201,
      body: {
        success: true,
        data: {
          id,
          name: 'Go',
          category: 'language',
          proficiency: 3,
          createdAt,
          updatedAt: createdAt,
          version: 1,
        },
      },
    });
    expect(headers).toMatchObject({ etag: '"1"', location: `${PATH}/${id}` });
    const read = await api().get(`${PATH}/${id.toUpperCase()}`).expect(200);
    expect(read.body).toEqual(body);
    await api().get(`${PATH}/${id}`).set('If-None-Match', '"1"').expect(304, '');
    await api().get(`${PATH}/${id}`).set('If-Match', '"2"').expect(412);
  });

  it('lets one of twenty writers win who hold the same ETag', async () => {
    const { id } = (await create('Go')).body.data;
    const change = (proficiency: number) =>
      api().patch(`${PATH}/${id}`).set('If-Match', '"1"').send({ proficiency });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => change((i % 5) + 1)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 412)]);
  });

  it('creates by PUT under an id of the client, and only then with If-None-Match: *', async () => {
    const id = randomUUID();
    const put = () =>
      api().put(`${PATH}/${id}`).send({ name: 'C', category: 'language', proficiency: 1 });
    expect((await put().expect(201)).headers.location).toBe(`${PATH}/${id}`);
    await put().set('If-None-Match', '*').expect(412);
    expect((await put().expect(200)).body.data.version).toBe(2);
    await api().delete(`${PATH}/${id}`).set('If-Match', '"2"').expect(200);
    // No ETag of the first one names the second one.
    expect((await put().expect(201)).headers.etag).toBe('"4"');
  });

  it('repeats the first answer under an Idempotency-Key and writes once', async () => {
    const send = (name: string) => create(name).set('Idempotency-Key', 'k');
    const first = await send('Zig').expect(201);
    const again = await send('Zig').expect(201);
    expect([again.text, again.headers['idempotency-replayed']]).toEqual([first.text, 'true']);
    expect((await send('Nim').expect(422)).body.code).toBe('idempotency_key_reused');
    expect(namesOf((await api().get(PATH)).body)).toEqual(['Zig']);
  });

  it.each([
    [{ name: '', category: 'language', proficiency: 1 }, ['name']],
    [{ name: 'x', category: 'animal', proficiency: 9 }, ['category', 'proficiency']],
    [{ name: 'x', category: 'tool', proficiency: 1.5 }, ['proficiency']],
    [{ name: 'x', category: 'tool', proficiency: 1, id: randomUUID() }, ['id']],
    [{}, ['category', 'name', 'proficiency']],
  ])('refuses %j by name', async (body, paths) => {
    const answer = await api().post(PATH).send(body).expect(400);
    const found = answer.body.errors.map(({ path }: { path: string }) => path);
    expect([answer.body.code, found.sort()]).toEqual(['validation_failed', paths]);
  });

  it('refuses a second row with a unique value, an empty patch and a null', async () => {
    await create('Go').expect(201);
    expect((await create('Go').expect(409)).body.code).toBe('already_exists');
    const { id } = (await create('C')).body.data;
    await api().patch(`${PATH}/${id}`).send({}).expect(400);
    await api().patch(`${PATH}/${id}`).send({ name: null }).expect(400);
    await api().patch(`${PATH}/${id}`).send({ name: 'Go' }).expect(409);
  });
});

describe('its list', () => {
  beforeEach(async () => {
    for (const [name, category, proficiency] of [
      ['Ada', 'language', 1],
      ['C', 'language', 4],
      ['Jest', 'tool', 5],
      ['Perl', 'language', 5],
      ['Zig', 'language', 4],
    ] as const)
      await create(name, category, proficiency).expect(201);
  });

  async function walk(query: string): Promise<string[]> {
    const names: string[] = [];
    for (let next: string | undefined = `${PATH}?${query}`; next;) {
      const { body, headers }: request.Response = await api().get(next).expect(200);
      names.push(...namesOf(body));
      next = /<(.*)>; rel="next"/.exec(headers.link ?? '')?.[1];
      expect(body.meta.hasMore).toBe(next !== undefined);
    }
    return names;
  }

  it.each([
    ['sort=name', ['Ada', 'C', 'Jest', 'Perl', 'Zig']],
    ['sort=-name&category=language', ['Zig', 'Perl', 'C', 'Ada']],
    ['', ['Zig', 'Perl', 'Jest', 'C', 'Ada']],
    ['sort=createdAt&minProficiency=4', ['C', 'Jest', 'Perl', 'Zig']],
    ['category=tool&category=language&sort=name&minProficiency=5', ['Jest', 'Perl']],
    ['createdTo=2020-01-01', []],
    ['createdFrom=2020-01-01&sort=updatedAt&category=tool', ['Jest']],
    [`id=${randomUUID()}`, []],
  ])('is walked page by page with %s', async (query, names) => {
    expect(await walk(`limit=2&${query}`)).toEqual(names);
  });

  it('is sorted by a number, ties by the id', async () => {
    const rows = await sql`select name from host.skills order by proficiency desc, id desc`;
    expect(await walk('limit=2&sort=-proficiency')).toEqual(rows.map(({ name }) => name));
  });

  it('binds a cursor to the filters and the sort that made it', async () => {
    const { meta } = (await api().get(`${PATH}?limit=1&category=language`)).body;
    const ask = (query: string) => api().get(`${PATH}?${query}&after=${meta.nextCursor}`);
    await ask('limit=3&category=language').expect(200);
    for (const query of ['category=tool', 'limit=1', 'category=language&sort=name']) {
      expect((await ask(query).expect(400)).body.code).toBe('invalid_cursor');
    }
  });

  it.each([
    ['category=animal', 'category'],
    ['category=tool&category=tool', 'category'],
    ['minProficiency=6', 'minProficiency'],
    ['minProficiency=1e0', 'minProficiency'],
    ['minProficiency=1&minProficiency=2', 'minProficiency'],
    ['createdFrom=2024-02-30', 'createdFrom'],
    ['id=42', 'id'],
    ['sort=category', 'sort'],
    ['unknown=1', 'unknown'],
  ])('refuses %s by name', async (query, path) => {
    const { body } = await api().get(`${PATH}?${query}`).expect(400);
    expect(body.errors.map((fault: { path: string }) => fault.path)).toEqual([path]);
  });
});

describe('its history and feed', () => {
  it('hold what a psql session did, whatever its search path and its temporary tables', async () => {
    const { nextCursor } = (await api().get(`${PATH}/changes?after=now`)).body.meta;
    await sql.begin(async (tx) => {
      await tx`create temporary table changes (like public.changes)`;
      await tx`set local search_path = ''`;
      await tx`insert into host.skills (name, category, proficiency)
        values ('C', 'language', 1)`;
      await tx`update host.skills set proficiency = 2`;
      await tx`drop table pg_temp.changes`;
    });
    const { data } = (await api().get(`${PATH}/changes?after=${nextCursor}`).expect(200)).body;
    expect(data).toMatchObject([
      { action: 'created', skillId: expect.any(String), before: null, after: { proficiency: 1 } },
      { action: 'updated', version: 2, before: { proficiency: 1 }, after: { proficiency: 2 } },
    ]);
    const history = await api().get(`${PATH}/${data[0].skillId}/history`).expect(200);
    expect(history.body.data[0]).toMatchObject({ action: 'updated', changed: ['proficiency'] });
    // A document is the row as the API answers it.
    const row = await api().get(`${PATH}/${data[0].skillId}`).expect(200);
    expect(data[1].after).toEqual(row.body.data);
  });

  it('have an added column once track_changes was called again', async () => {
    await create('C').expect(201);
    await sql`alter table host.skills add column last_used_at timestamptz(3) default '2026-01-31'`;
    await sql`select track_changes('host.skills', 'skill')`;
    await sql`update host.skills set proficiency = 1`;
    const [change] = await sql`select after from changes order by sequence desc limit 1`;
    expect(change!.after).toMatchObject({ lastUsedAt: '2026-01-31T00:00:00.000Z' });
    await sql`alter table host.skills drop column last_used_at`;
    await sql`select track_changes('host.skills', 'skill')`;
  });
});

describe('the factory in code', () => {
  it('refuses what the list does not know, and works in a transaction', async () => {
    const factory = createEntityFactory(connection.db, SKILL);
    await expect(factory.list({ filters: { nope: 1 } })).rejects.toMatchObject({
      code: 'invalid_value',
    });
    await expect(factory.list({ sort: 'category' })).rejects.toMatchObject({
      code: 'invalid_value',
    });
    await expect(factory.list({ limit: 0 })).rejects.toMatchObject({ code: 'invalid_value' });
    const undone = connection.db.transaction(async (tx) => {
      await factory.on(tx).create({ name: 'Go', category: 'tool', proficiency: 1 });
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    expect((await factory.list()).rows).toEqual([]);
  });

  it('tells when a column has no kind of filter', () => {
    const table = pgSchema('x').table('x', { n: integer('n'), at: timestamp('at') });
    expect(() => oneOf(table.n)).toThrow('give its smallest and its greatest value');
  });
});
