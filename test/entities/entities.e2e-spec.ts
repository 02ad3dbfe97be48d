import { randomUUID } from 'node:crypto';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { integer, pgSchema, text, timestamp, uuid } from 'drizzle-orm/pg-core';
import postgres from 'postgres';
import request from 'supertest';
import {
  createDatabaseConnection,
  createEntityFactory,
  createTimestamps,
  DatabaseModule,
  type DatabaseConnection,
  defineEntity,
  EntityDto,
  entityModule,
  entityResource,
  oneOf,
  ProjectsModule,
  TextField,
} from '../../src/index.js';
import { SKILL, SKILLS, SKILLS_MIGRATION, SkillsModule } from '../support/skills.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

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
beforeEach(() => sql`truncate host.team_skills`);

const api = () => request(url);
const PATH = '/company/skills';
const create = (name: string, category = 'language', proficiency = 3) =>
  api().post(PATH).send({ name, category, proficiency });
const namesOf = (body: { data: { name: string }[] }) => body.data.map(({ name }) => name);

describe("an entity of a host's own", () => {
  it('returns what was written, with its ETag and its path', async () => {
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

  it('lets one of twenty writers with the same ETag succeed', async () => {
    const { id } = (await create('Go')).body.data;
    const change = (proficiency: number) =>
      api().patch(`${PATH}/${id}`).set('If-Match', '"1"').send({ proficiency });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => change((i % 5) + 1)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 412)]);
  });

  it('is created by PUT with an id of the client, and only if it does not exist with If-None-Match: *', async () => {
    const id = randomUUID();
    const put = () =>
      api().put(`${PATH}/${id}`).send({ name: 'C', category: 'language', proficiency: 1 });
    expect((await put().expect(201)).headers.location).toBe(`${PATH}/${id}`);
    await put().set('If-None-Match', '*').expect(412);
    expect((await put().expect(200)).body.data.version).toBe(2);
    await api().delete(`${PATH}/${id}`).set('If-Match', '"2"').expect(200);
    // No ETag of the first row identifies the second one.
    expect((await put().expect(201)).headers.etag).toBe('"4"');
  });

  it('returns the first answer again for an Idempotency-Key and writes once', async () => {
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

  it('refuses a duplicate of a unique value, an empty patch and a null', async () => {
    await create('Go').expect(201);
    expect((await create('Go').expect(409)).body.code).toBe('already_exists');
    const { id } = (await create('C')).body.data;
    await api().patch(`${PATH}/${id}`).send({}).expect(400);
    await api().patch(`${PATH}/${id}`).send({ name: null }).expect(400);
    await api().patch(`${PATH}/${id}`).send({ name: 'Go' }).expect(409);
  });
});

describe("the list of a host's entity", () => {
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
  ])('has each row once on its pages with %s', async (query, names) => {
    expect(await walk(`limit=2&${query}`)).toEqual(names);
  });

  it('is sorted by a number, and equal rows are sorted by id', async () => {
    const rows = await sql`select name from host.team_skills order by proficiency desc, id desc`;
    expect(await walk('limit=2&sort=-proficiency')).toEqual(rows.map(({ name }) => name));
  });

  it('accepts a cursor only for the filters and the sort that created it', async () => {
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

describe("the history and feed of a host's entity", () => {
  it('contain the changes of a psql session, whatever its search path and its temporary tables', async () => {
    const { nextCursor } = (await api().get(`${PATH}/changes?after=now`)).body.meta;
    await sql.begin(async (tx) => {
      await tx`create temporary table changes (like public.changes)`;
      await tx`set local search_path = ''`;
      await tx`insert into host.team_skills (name, category, proficiency)
        values ('C', 'language', 1)`;
      await tx`update host.team_skills set proficiency = 2`;
      await tx`drop table pg_temp.changes`;
    });
    const { data } = (await api().get(`${PATH}/changes?after=${nextCursor}`).expect(200)).body;
    expect(data).toMatchObject([
      { action: 'created', talentId: expect.any(String), before: null, after: { proficiency: 1 } },
      { action: 'updated', version: 2, before: { proficiency: 1 }, after: { proficiency: 2 } },
    ]);
    const history = await api().get(`${PATH}/${data[0].talentId}/history`).expect(200);
    expect(history.body.data[0]).toMatchObject({ action: 'updated', changed: ['proficiency'] });
    // A document in the feed is equal to the row in an answer.
    const row = await api().get(`${PATH}/${data[0].talentId}`).expect(200);
    expect(data[1].after).toEqual(row.body.data);
  });

  it('contain a new column after track_changes was called again', async () => {
    await create('C').expect(201);
    await sql`alter table host.team_skills add column last_used_at timestamptz(3) default '2026-01-31'`;
    await sql`select track_changes('host.team_skills', 'talent')`;
    await sql`update host.team_skills set proficiency = 1`;
    const [change] = await sql`select after from changes order by sequence desc limit 1`;
    expect(change!.after).toMatchObject({ lastUsedAt: '2026-01-31T00:00:00.000Z' });
    await sql`alter table host.team_skills drop column last_used_at`;
    await sql`select track_changes('host.team_skills', 'talent')`;
  });
});

describe("import and export of a host's entity", () => {
  const NDJSON = 'application/x-ndjson';
  const CSV = 'text/csv';
  const send = (file: string, type: string) =>
    api().post(`${PATH}/import`).set('Content-Type', type).send(file);
  const exported = (query = '') => api().get(`${PATH}/export${query}`).buffer(true).expect(200);

  it.each([
    [NDJSON, 'ndjson'],
    [CSV, 'csv'],
  ])('restores the content of %s, with ids, times and versions', async (type, format) => {
    await create('=1+1');
    const { id } = (await create('C;"\u00e9"', 'tool', 5)).body.data;
    await api().patch(`${PATH}/${id}`).send({ proficiency: 4 }).expect(200);
    const { rows } = await createEntityFactory(connection.db, SKILL).list();
    const { text, headers } = await exported(`?format=${format}`);
    expect(headers['content-disposition']).toMatch(
      /^attachment; filename="skills-.*\.(ndjson|csv)"$/,
    );
    await sql`truncate host.team_skills`;
    const { body } = await send(text, type).expect(200);
    expect(body.data).toEqual({ created: 2, replaced: 0, unchanged: 0, refused: 0, errors: [] });
    const after = await createEntityFactory(connection.db, SKILL).list();
    expect(after.rows).toEqual(rows);
    expect((await send(text, type).expect(200)).body.data).toMatchObject({ unchanged: 2 });
    // The history contains each version in the format of an answer.
    const history = await api().get(`${PATH}/${id}/history`).expect(200);
    expect(history.body.data[0]).toMatchObject({ action: 'created', version: 2, after: rows[0] });
  });

  it('writes and reads CSV by the kinds of the columns', async () => {
    await create("'=1+1", 'language', 3);
    const { text } = await exported('?format=csv');
    expect(text.replace(/^[\da-f-]{36},|,\d{4}-[^,]*Z/gm, '')).toBe(
      'id,name,category,proficiency,createdAt,updatedAt,version\r\n"\'\'=1+1","language",3,1\r\n',
    );
    const file = "proficiency;name;category\r\n2;'=2+2;tool\r\n";
    expect((await send(file, CSV).expect(200)).body.data).toMatchObject({ created: 1 });
    const { body } = await api().get(`${PATH}?category=tool`);
    expect(body.data).toMatchObject([{ name: '=2+2', proficiency: 2 }]);
    const wrong = await send('name;proficiency\r\n', CSV).expect(400);
    expect(wrong.body.errors).toEqual([{ line: 1, path: 'category', message: 'is missing' }]);
  });

  it('exports in the order and with the filters of the list', async () => {
    for (const [name, category, proficiency] of [
      ['C', 'language', 1],
      ['Ada', 'language', 4],
      ['Go', 'language', 5],
      ['Jest', 'tool', 5],
    ] as const)
      await create(name, category, proficiency);
    const { text } = await exported('?category=language&minProficiency=4&sort=-name');
    const rows = text.trimEnd().split('\n');
    expect(rows.map((row) => JSON.parse(row).name)).toEqual(['Go', 'Ada']);
    const refused = await api().get(`${PATH}/export?limit=1&sort=category`).expect(400);
    expect(refused.body.errors.map(({ path }: { path: string }) => path)).toEqual([
      'limit',
      'sort',
    ]);
  });

  it('refuses rows by line and field, and writes all rows or none', async () => {
    await create('Go');
    const rows = [
      { name: 'C', category: 'language', proficiency: 6 },
      { name: 'D', category: 'animal', proficiency: 1 },
      { name: 'E', category: 'tool', proficiency: 1 },
    ];
    const file = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    const { body } = await send(file, NDJSON).expect(400);
    expect([body.code, body.counts]).toEqual([
      'import_refused',
      { created: 0, replaced: 0, unchanged: 0, refused: 2 },
    ]);
    expect(body.errors).toMatchObject([
      { line: 1, path: 'proficiency' },
      { line: 2, path: 'category' },
    ]);
    const twice = '{"name":"Go","category":"tool","proficiency":1}\n';
    expect(
      (await send(`{"name":"F","category":"tool","proficiency":1}\n${twice}`, NDJSON)).body.code,
    ).toBe('already_exists');
    expect(namesOf((await api().get(PATH)).body)).toEqual(['Go']);
  });

  it('writes a file once for an Idempotency-Key', async () => {
    const file = '{"name":"Zig","category":"language","proficiency":1}\n';
    const once = () => send(file, NDJSON).set('Idempotency-Key', 'skills-1').expect(200);
    expect((await once()).text).toBe((await once()).text);
    expect(namesOf((await api().get(PATH)).body)).toEqual(['Zig']);
  });

  it('is refused with the remedy when a column has no kind', () => {
    const table = pgSchema('x').table('notes', {
      id: uuid('id').primaryKey(),
      text: text('text'),
      ...createTimestamps(),
      version: integer('version').notNull().default(1),
    });
    const NOTE = defineEntity({ name: 'note', table, written: ['text'] });
    class NoteDto extends EntityDto {
      @TextField({ min: 1, max: 100 })
      text!: string | null;
    }
    const resource = entityResource(NOTE, { path: 'notes', dto: NoteDto });
    expect(() => entityModule(resource, { transfer: true })).toThrow(
      'The note cannot be imported and exported: give `defineEntity` the kind of its column text (text, perhaps null) in `kinds`.',
    );
    expect(() => entityModule(resource)).not.toThrow();
  });
});

it('a module refuses a controller whose requests nothing would validate', () => {
  class Unguarded {}
  expect(() => entityModule(SKILLS, { controller: Unguarded })).toThrow(
    'Unguarded must extend EntityController, or have @ResourceController: otherwise nothing validates its requests.',
  );
});

describe("the factory of a host's entity", () => {
  it('refuses unknown filters and sorts, and works in a transaction', async () => {
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

  it('reports a column that has no kind of filter', () => {
    const table = pgSchema('x').table('x', { n: integer('n'), at: timestamp('at') });
    expect(() => oneOf(table.n)).toThrow('give its smallest and its greatest value');
  });
});
