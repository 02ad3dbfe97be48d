import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import request from 'supertest';
import { aProject } from '../support/builders.js';
import { startService, type TestService } from '../support/service.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let service: TestService;
let sql: postgres.Sql;
let api: ReturnType<typeof request>;

beforeAll(async () => {
  service = await startService();
  api = request(service.url);
  sql = postgres(service.database.url, { max: 2, onnotice: () => {} });
});
afterAll(async () => {
  await sql.end();
  await service.close();
});

interface Stored {
  id: string;
  name: string;
  description: string;
  technologies: string[];
  createdAt: string;
  updatedAt: string;
  version: number;
}

async function create(values = {}): Promise<Stored> {
  const { body } = await api.post('/api/projects').send(aProject(values)).expect(201);
  return body.data;
}

/** Returns the `errors` of a 400. */
async function faultsOf(sent: request.Test): Promise<unknown> {
  const { body } = await sent.expect(400);
  expect(body).toMatchObject({ success: false, code: 'validation_failed' });
  return body.errors;
}

describe('POST /api/projects', () => {
  it('returns the created project with its path and its ETag', async () => {
    const values = { name: 'PostgreSQL', description: 'A database.', technologies: ['C', 'SQL'] };
    const before = Date.now();
    const { body, headers } = await api.post('/api/projects').send(values).expect(201);
    expect(body).toEqual({
      success: true,
      data: {
        id: expect.stringMatching(UUID),
        ...values,
        createdAt: expect.stringMatching(TIMESTAMP),
        updatedAt: body.data.createdAt,
        version: 1,
      },
    });
    expect(Math.abs(Date.parse(body.data.createdAt) - before)).toBeLessThan(5000);
    expect(headers).toMatchObject({
      location: `/api/projects/${body.data.id}`,
      etag: '"1"',
      'content-type': 'application/json; charset=utf-8',
    });
    await api.get(headers.location!).expect(200, body);
  });

  it('removes white space at the ends of name and technologies, and keeps the description unchanged', async () => {
    const created = await create({
      name: '\t Nest\u00a0\n',
      description: '  as it is ',
      technologies: [' Node ', 'C ++'],
    });
    expect(created).toMatchObject({
      name: 'Nest',
      description: '  as it is ',
      technologies: ['Node', 'C ++'],
    });
  });

  it('counts characters and not UTF-16 units: 255 of two units fit in a name, 256 do not', async () => {
    expect((await create({ name: '🚀'.repeat(255) })).name).toBe('🚀'.repeat(255));
    expect((await create({ name: 'é'.repeat(255) })).name).toBe('é'.repeat(255));
    for (const name of ['🚀'.repeat(256), 'x'.repeat(256)]) {
      expect(await faultsOf(api.post('/api/projects').send(aProject({ name })))).toEqual([
        { path: 'name', message: 'must be text of 1 to 255 characters' },
      ]);
    }
  });

  it('accepts each field up to its limit', async () => {
    const largest = {
      description: '𝛑'.repeat(20_000),
      technologies: Array.from(
        { length: 100 },
        (_, i) => `${i}`.padStart(3, '0') + '🦀'.repeat(97),
      ),
    };
    expect(await create(largest)).toMatchObject(largest);
    expect(await create({ description: '', technologies: [] })).toMatchObject({
      description: '',
      technologies: [],
    });
  });

  it.each([
    ['name', '', 'must be text of 1 to 255 characters'],
    ['name', ' \u3000 ', 'must be text of 1 to 255 characters'],
    ['name', null, 'must be text of 1 to 255 characters'],
    ['name', ['x'], 'must be text of 1 to 255 characters'],
    ['description', 'x'.repeat(20_001), 'must be text of 0 to 20000 characters'],
    ['description', 7, 'must be text of 0 to 20000 characters'],
    ['technologies', 'C', 'must be a list'],
    ['technologies', { 0: 'C', length: 1 }, 'must be a list'],
    ['technologies', Array.from({ length: 101 }, (_, i) => `${i}`), 'must have at most 100'],
    ['technologies', ['C', ' '], 'each of them must be text of 1 to 100 characters'],
    ['technologies', ['x'.repeat(101)], 'each of them must be text of 1 to 100 characters'],
    ['technologies', ['C', null], 'each of them must be text of 1 to 100 characters'],
    ['technologies', ['C', 'SQL', ' C'], 'must not contain duplicates'],
  ])('refuses an invalid %s (%#)', async (path, value, message) => {
    const sent = api.post('/api/projects').send({ ...aProject(), [path]: value });
    expect(await faultsOf(sent)).toEqual([{ path, message }]);
  });

  it('names every missing field and every unknown field', async () => {
    expect(await faultsOf(api.post('/api/projects').send({ id: 1, version: 2 }))).toEqual([
      { path: 'id', message: 'there is no such field or parameter' },
      { path: 'version', message: 'there is no such field or parameter' },
      { path: 'name', message: 'must be text of 1 to 255 characters' },
      { path: 'description', message: 'must be text of 0 to 20000 characters' },
      { path: 'technologies', message: 'must be a list' },
    ]);
  });
});

describe('GET /api/projects', () => {
  it('lists the newest first, up to the limit, and tells whether there are more', async () => {
    const own = await startService();
    const list = request(own.url);
    try {
      await list.get('/api/projects').expect(200, {
        success: true,
        data: [],
        meta: { limit: 50, nextCursor: null, hasMore: false },
      });
      const made: Stored[] = [];
      for (let i = 0; i < 3; i++) {
        const { body } = await list.post('/api/projects').send(aProject());
        made.unshift(body.data);
      }
      const byAge = (a: Stored, b: Stored) =>
        b.createdAt.localeCompare(a.createdAt) || (a.id < b.id ? 1 : -1);
      made.sort(byAge);
      const { body: two } = await list.get('/api/projects?limit=2').expect(200);
      const nextCursor = expect.any(String);
      const meta = { limit: 2, nextCursor, hasMore: true };
      expect(two).toEqual({ success: true, data: made.slice(0, 2), meta });
      await list.get('/api/projects?limit=3').expect(200, {
        success: true,
        data: made,
        meta: { limit: 3, nextCursor: null, hasMore: false },
      });
    } finally {
      await own.close();
    }
  });

  it('sorts projects of the same moment by id, so that the order is stable', async () => {
    const ids = Array.from({ length: 20 }, () => randomUUID());
    await sql`insert into projects (id, name, description, technologies, created_at)
      select id::uuid, 'same', '', '[]', '2999-01-01' from unnest(${ids}::text[]) as id`;
    const { body } = await api.get('/api/projects?limit=20').expect(200);
    expect(body.data.map(({ id }: Stored) => id)).toEqual(ids.sort().reverse());
    await sql`delete from projects where name = 'same'`;
  });

  it.each([1, 200, '007'])('accepts a limit of %s', async (limit) => {
    const { body } = await api.get(`/api/projects?limit=${limit}`).expect(200);
    expect(body.meta.limit).toBe(Number(limit));
  });

  it.each(['0', '201', '-1', '', '1.0', '1e2', '0x10', '%201', '+1', '٣', '1'.repeat(20), 'NaN'])(
    'refuses a limit of "%s"',
    async (limit) => {
      const sent = api.get(`/api/projects?limit=${encodeURI(limit).replace('%25', '%')}`);
      expect(await faultsOf(sent)).toEqual([
        { path: 'limit', message: 'must be a whole number from 1 to 200' },
      ]);
    },
  );
});

describe('a parameter of GET /api/projects is refused for the fault that it has', () => {
  const ID = randomUUID();
  it.each([
    ['q=🎉', 'must contain a letter or a digit'],
    ['q=...', 'must contain a letter or a digit'],
    ['q=-a', 'must contain a word without a minus'],
    ['q=a or -b', 'must contain a word without a minus on each side of an "or"'],
    ['q=a&q=b', 'must be given only once'],
    [`q=${'a'.repeat(201)}`, 'must be text of at most 200 characters, not 201'],
    ['limit=1&limit=2', 'must be given only once'],
    ['sort=name&sort=name', 'must be given only once'],
    ['createdFrom=2026-01-31&createdFrom=2026-02-01', 'must be given only once'],
    ['fields=id&fields=name', 'must be given only once'],
    ['fields=id,id', 'must not contain duplicates'],
    ['id=a', 'each must be a UUID'],
    [`id=${ID}&id=${ID.toUpperCase()}`, 'must not contain duplicates'],
    [`id=${Array.from({ length: 201 }, () => randomUUID()).join('&id=')}`, /not 201$/],
  ])('%s', async (query, message) => {
    const sent = api.get(`/api/projects?${encodeURI(query)}`);
    const path = query.slice(0, query.indexOf('='));
    const expected = message instanceof RegExp ? expect.stringMatching(message) : message;
    expect(await faultsOf(sent)).toEqual([{ path, message: expected }]);
  });
});

describe('GET /api/projects/:id', () => {
  it('returns the project with its ETag, in whatever case the id is written', async () => {
    const data = await create();
    const { headers } = await api
      .get(`/api/projects/${data.id.toUpperCase()}`)
      .expect(200, { success: true, data });
    expect(headers.etag).toBe('"1"');
  });

  it('answers 404 for a missing project', async () => {
    const instance = `/api/projects/${randomUUID()}`;
    const { body } = await api.get(instance).expect(404);
    expect(body).toEqual({
      success: false,
      type: 'urn:problem-type:not_found',
      title: 'The resource does not exist',
      status: 404,
      detail: 'There is no project with this id.',
      instance,
      code: 'not_found',
      requestId: expect.stringMatching(UUID),
    });
  });

  it.each(['1', 'undefined', `${randomUUID()}0`, `{${randomUUID()}}`, '%00', "'%20or%201=1--"])(
    'refuses "%s" as an id on every method',
    async (id) => {
      for (const method of ['get', 'put', 'patch', 'delete'] as const) {
        const sent = api[method](`/api/projects/${id}`);
        const { body } = await (method === 'put' || method === 'patch'
          ? sent.send(aProject())
          : sent);
        expect(body).toMatchObject({ status: 400, code: 'invalid_id' });
      }
    },
  );
});

describe('PUT /api/projects/:id', () => {
  it('creates with an id of the client, then replaces', async () => {
    const id = randomUUID();
    const first = aProject();
    const created = await api.put(`/api/projects/${id.toUpperCase()}`).send(first).expect(201);
    expect(created.body).toEqual({
      success: true,
      data: {
        id,
        ...first,
        createdAt: expect.stringMatching(TIMESTAMP),
        updatedAt: created.body.data.createdAt,
        version: 1,
      },
    });
    expect(created.headers).toMatchObject({ location: `/api/projects/${id}`, etag: '"1"' });

    const second = aProject({ description: '', technologies: [] });
    const replaced = await api.put(`/api/projects/${id}`).send(second).expect(200);
    expect(replaced.body).toEqual({
      success: true,
      data: {
        ...created.body.data,
        ...second,
        updatedAt: expect.stringMatching(TIMESTAMP),
        version: 2,
      },
    });
    expect(replaced.headers.etag).toBe('"2"');
    expect(replaced.headers.location).toBeUndefined();
    await api.get(`/api/projects/${id}`).expect(200, replaced.body);
  });

  it('accepts a UUID of any version, also the nil UUID', async () => {
    for (const id of [
      '00000000-0000-0000-0000-000000000000',
      '0198c5a3-5a0e-7f6e-9a53-1f2a5d3f7b10',
      'ffffffff-ffff-9fff-ffff-ffffffffffff',
    ]) {
      const { body } = await api.put(`/api/projects/${id}`).send(aProject()).expect(201);
      expect(body.data.id).toBe(id);
    }
  });

  it('replaces the whole project and refuses an omitted field', async () => {
    const { id, name } = await create();
    expect(await faultsOf(api.put(`/api/projects/${id}`).send({ name }))).toEqual([
      { path: 'description', message: 'must be text of 0 to 20000 characters' },
      { path: 'technologies', message: 'must be a list' },
    ]);
  });

  it('refuses a body with another id than the path', async () => {
    const sent = api.put(`/api/projects/${randomUUID()}`).send({ ...aProject(), id: randomUUID() });
    expect(await faultsOf(sent)).toEqual([
      { path: 'id', message: 'there is no such field or parameter' },
    ]);
  });
});

describe('PATCH /api/projects/:id', () => {
  it.each(['application/merge-patch+json', 'application/json'])(
    'changes the given fields as %s, keeps the others, and replaces a list completely',
    async (type) => {
      const before = await create({ technologies: ['a', 'b'] });
      const { body, headers } = await api
        .patch(`/api/projects/${before.id}`)
        .type(type)
        .send(JSON.stringify({ technologies: ['c'], name: ' renamed ' }))
        .expect(200);
      expect(body).toEqual({
        success: true,
        data: {
          ...before,
          name: 'renamed',
          technologies: ['c'],
          updatedAt: expect.stringMatching(TIMESTAMP),
          version: 2,
        },
      });
      expect(headers.etag).toBe('"2"');
      await api.get(`/api/projects/${before.id}`).expect(200, body);
    },
  );

  it.each([
    ['{}', '', 'the patch must change at least one field'],
    ['null', '', 'the body must be a JSON object'],
    ['[]', '', 'the body must be a JSON object'],
    ['"name"', '', 'the body must be a JSON object'],
    ['{"name":null}', 'name', 'must be text of 1 to 255 characters'],
    ['{"description":null}', 'description', 'must be text of 0 to 20000 characters'],
    ['{"technologies":null}', 'technologies', 'must be a list'],
    ['{"version":9}', 'version', 'there is no such field or parameter'],
  ])('refuses %s and changes nothing', async (patch, path, message) => {
    const data = await create();
    const sent = api
      .patch(`/api/projects/${data.id}`)
      .type('application/merge-patch+json')
      .send(patch);
    expect(await faultsOf(sent)).toEqual([{ path, message }]);
    await api.get(`/api/projects/${data.id}`).expect(200, { success: true, data });
  });

  it('answers 400 without a body, and 404 for a missing project', async () => {
    expect(await faultsOf(api.patch(`/api/projects/${randomUUID()}`))).toEqual([
      { path: '', message: 'the patch must change at least one field' },
    ]);
    await api.patch(`/api/projects/${randomUUID()}`).send({ name: 'x' }).expect(404);
  });
});

describe('DELETE /api/projects/:id', () => {
  it('removes the project and returns its last state, and later requests get 404', async () => {
    const data = await create();
    await api.delete(`/api/projects/${data.id}`).expect(200, { success: true, data });
    await api.get(`/api/projects/${data.id}`).expect(404);
    await api.delete(`/api/projects/${data.id}`).expect(404);
  });

  const again: Record<string, (id: string) => Promise<unknown>> = {
    PUT: (id) => api.put(`/api/projects/${id}`).send(aProject()).expect(201),
    'a batch': async (id) => {
      const operations = [{ op: 'replace', id, project: aProject() }];
      const { body } = await api.post('/api/projects/batch').send({ operations }).expect(200);
      expect(body.data[0]).toMatchObject({ status: 201, etag: '"3"' });
    },
    'an import': async (id) => {
      const { body } = await api
        .post('/api/projects/import')
        .type('application/x-ndjson')
        .send(JSON.stringify({ ...aProject(), id }))
        .expect(200);
      expect(body.data).toMatchObject({ created: 1 });
    },
  };
  it.each(Object.entries(again))(
    'does not accept its ETag after %s creates a project with its id',
    async (_, make) => {
      const { id } = await create();
      const path = `/api/projects/${id}`;
      await api.delete(path).expect(200);
      await make(id);
      await api.patch(path).set('If-Match', '"1", "2"').send({ name: 'x' }).expect(412);
      const { headers } = await api.get(path).set('If-None-Match', '"1", "2"').expect(200);
      expect(headers.etag).toBe('"3"'); // after the deletion
      const { body } = await api.get(`${path}/history`).expect(200);
      const versions = body.data.map(({ version }: { version: number }) => version);
      expect(versions).toEqual([3, 2, 1]);
    },
  );

  it('starts again at version 1 when the history of the id was removed', async () => {
    const { id } = await create();
    await api.delete(`/api/projects/${id}`).expect(200);
    await sql`delete from changes where entity_id = ${id}`;
    const { body } = await api.put(`/api/projects/${id}`).send(aProject()).expect(201);
    expect(body.data.version).toBe(1);
  });
});

describe('the database', () => {
  it('stores technologies as a JSON array, in their order', async () => {
    const technologies = ['Zig', 'Ada', '\\u0041', '"', '{}', 'ä', 'Ä'];
    const { id } = await create({ technologies });
    expect(
      await sql`select jsonb_typeof(technologies) as type, technologies->>2 as third
                from projects where id = ${id}`,
    ).toEqual([{ type: 'array', third: '\\u0041' }]);
    const { body } = await api.get(`/api/projects/${id}`);
    expect(body.data.technologies).toEqual(technologies);
  });

  it('counts a write from a psql session as a version, and keeps the creation time', async () => {
    const before = await create();
    await sql`update projects set name = 'by hand', version = 70, created_at = 'epoch', updated_at = 'epoch'
              where id = ${before.id}`;
    const { body, headers } = await api.get(`/api/projects/${before.id}`).expect(200);
    expect(body.data).toEqual({
      ...before,
      name: 'by hand',
      version: 2,
      updatedAt: expect.stringMatching(TIMESTAMP),
    });
    expect(headers.etag).toBe('"2"');
    expect(body.data.updatedAt >= before.updatedAt).toBe(true);
    await api
      .patch(`/api/projects/${before.id}`)
      .set('If-Match', '"1"')
      .send({ name: 'x' })
      .expect(412);
  });

  it('never lets a newer version look older, even if the clock is set back', async () => {
    const id = randomUUID();
    await sql`insert into projects (id, name, description, technologies, updated_at)
              values (${id}, 'ahead', '', '[]', '2999-01-01T00:00:00Z')`;
    const { body } = await api.patch(`/api/projects/${id}`).send({ name: 'next' }).expect(200);
    expect(body.data.updatedAt).toBe('2999-01-01T00:00:00.000Z');
    await api.delete(`/api/projects/${id}`);
  });

  it.each([
    ['name', '', '23514'],
    ['name', '   ', '23514'],
    ['name', 'x'.repeat(256), '22001'],
    ['description', 'x'.repeat(20_001), '23514'],
    ['technologies', '"C"', '23514'],
    ['technologies', '{}', '23514'],
    ['technologies', 'null', '23514'],
    ['technologies', '[1]', '23514'],
    ['technologies', '[""]', '23514'],
    ['technologies', '["C","C"]', '23505'], // the key of project_technologies refuses it
    ['technologies', JSON.stringify(['x'.repeat(101)]), '23514'],
    ['technologies', JSON.stringify(Array.from({ length: 101 }, (_, i) => `${i}`)), '23514'],
    ['version', '0', '23514'],
  ])('also refuses an invalid %s from a psql session (%#)', async (column, value, code) => {
    const row = { name: 'n', description: 'd', technologies: '[]', version: '1', [column]: value };
    await expect(
      sql.unsafe(
        'insert into projects (name, description, technologies, version) values ($1, $2, $3::text::jsonb, $4::text::integer)',
        [row.name, row.description, row.technologies, row.version],
      ),
    ).rejects.toMatchObject({ code });
  });
});
