import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { aProject } from '../support/builders.js';
import { until } from '../support/connections.js';
import { startService, type TestService } from '../support/service.js';
import { onDatabase } from '../support/transfer.js';

const WRITERS = 20;

let service: TestService;
let api: ReturnType<typeof request>;
beforeAll(async () => {
  service = await startService();
  api = request(service.url);
});
afterAll(() => service.close());

/** Creates a project and returns its path; it has version 1. */
async function created(): Promise<string> {
  const { headers } = await api.post('/api/projects').send(aProject()).expect(201);
  return headers.location!;
}

/** Creates a project with this version and returns its path. */
async function at(version: number): Promise<string> {
  const [row] = await onDatabase(
    service.database.url,
    (sql) => sql`insert into projects (name, description, technologies, version)
      values ('x', '', '[]', ${version}) returning id`,
  );
  return `/api/projects/${row!.id}`;
}

async function versionAt(path: string): Promise<number> {
  const { body } = await api.get(path).expect(200);
  return body.data.version;
}

type Writer = (path: string, name: string) => request.Test;
const WRITES: [string, Writer][] = [
  ['PUT', (path, name) => api.put(path).send(aProject({ name }))],
  ['PATCH', (path, name) => api.patch(path).send({ name })],
  ['DELETE', (path) => api.delete(path)],
];

/** Sends the requests at the same time and counts the answers by status. */
async function countStatuses(sent: PromiseLike<request.Response>[]) {
  const answers = await Promise.all(sent);
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return { answers, counts };
}

const mismatch = {
  success: false,
  type: 'urn:problem-type:version_mismatch',
  title: 'The resource does not have the required version',
  status: 412,
  detail: 'The project does not have the version that the request requires.',
  code: 'version_mismatch',
  requestId: expect.any(String),
};

describe('of twenty writers with the same ETag', () => {
  it.each(WRITES.slice(0, 2))(
    'exactly one succeeds by %s, and nothing of the others is stored',
    async (_, write) => {
      const path = await created();
      const { answers, counts } = await countStatuses(
        Array.from({ length: WRITERS }, (_, i) =>
          write(path, `writer ${i}`).set('If-Match', '"1"'),
        ),
      );
      expect(counts).toEqual({ 200: 1, 412: WRITERS - 1 });
      const winner = answers.find(({ status }) => status === 200)!;
      expect(winner.headers.etag).toBe('"2"');
      await api.get(path).expect(200, winner.body);
      const loser = answers.find(({ status }) => status === 412)!;
      expect(loser.body).toEqual({ ...mismatch, instance: path });
    },
  );

  it('exactly one succeeds by DELETE, and the others get 404', async () => {
    const path = await created();
    const { counts } = await countStatuses(
      Array.from({ length: WRITERS }, () => api.delete(path).set('If-Match', '"1"')),
    );
    expect(counts).toEqual({ 200: 1, 404: WRITERS - 1 });
  });

  it('exactly one succeeds, whatever method each of them uses', async () => {
    const path = await created();
    const { answers } = await countStatuses(
      Array.from({ length: WRITERS }, (_, i) =>
        WRITES[i % 3]![1](path, `writer ${i}`).set('If-Match', '"1"'),
      ),
    );
    expect(answers.filter(({ status }) => status < 300)).toHaveLength(1);
    expect(answers.every(({ status }) => [200, 404, 412].includes(status))).toBe(true);
  });
});

describe('without If-Match', () => {
  it('every write succeeds on the result of the previous one, and the last one is stored', async () => {
    const path = await created();
    const { answers, counts } = await countStatuses(
      Array.from({ length: WRITERS }, (_, i) => api.patch(path).send({ name: `writer ${i}` })),
    );
    expect(counts).toEqual({ 200: WRITERS });
    const versions = answers.map(({ body }) => body.data.version).sort((a, b) => a - b);
    expect(versions).toEqual(Array.from({ length: WRITERS }, (_, i) => i + 2));
    const last = answers.find(({ body }) => body.data.version === WRITERS + 1)!;
    await api.get(path).expect(200, last.body);
  });

  it('one of many PUTs with a new id creates and the others replace', async () => {
    const path = `/api/projects/${randomUUID()}`;
    const { answers, counts } = await countStatuses(
      Array.from({ length: WRITERS }, () => api.put(path).send(aProject())),
    );
    expect(counts).toEqual({ 201: 1, 200: WRITERS - 1 });
    expect(answers.filter(({ headers }) => headers.location === path)).toHaveLength(1);
    expect(await versionAt(path)).toBe(WRITERS);
  });
});

describe('an ETag', () => {
  const row = (id: string, values: object = {}) =>
    JSON.stringify({ id, ...aProject({ name: 'another' }), ...values });
  const CREATES: [string, (id: string) => PromiseLike<request.Response>][] = [
    ['PUT', (id) => api.put(`/api/projects/${id}`).send(aProject({ name: 'another' }))],
    [
      'a batch',
      (id) =>
        api.post('/api/projects/batch').send({
          operations: [{ op: 'replace', id, project: aProject({ name: 'another' }) }],
        }),
    ],
    ...['', '?onError=skip'].map((query): (typeof CREATES)[number] => [
      `an import ${query}`,
      (id) => api.post(`/api/projects/import${query}`).type('application/x-ndjson').send(row(id)),
    ]),
    [
      'an import that gives a version',
      (id) =>
        api
          .post('/api/projects/import')
          .type('application/x-ndjson')
          .send(row(id, { version: 2 })),
    ],
  ];

  /** A PATCH is open, a DELETE waits behind it, and then `create` arrives. Returns the actions in their order. */
  async function race(create: (id: string) => PromiseLike<request.Response>): Promise<string> {
    const path = await created();
    const id = path.split('/').at(-1)!;
    return await onDatabase(service.database.url, async (sql) => {
      const waiting = (count: number) =>
        until(async () => {
          const rows = await sql`select from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'`;
          return rows.length >= count;
        });
      await sql`begin`;
      await sql`update projects set name = 'patched' where id = ${id}`;
      const removing = api.delete(path).then((answer) => answer);
      await waiting(1);
      const creating = Promise.resolve(create(id));
      await waiting(2);
      await sql`commit`;
      expect((await removing).status).toBe(200);
      expect((await creating).status).toBeLessThan(300);
      const history = await sql`select action, version from changes
        where entity_id = ${id} order by sequence`;
      expect(history.map(({ version }) => version)).toEqual([1, 2, 3, 4]);
      return history.map(({ action }) => action as string).join();
    });
  }

  it.each(CREATES)(
    'identifies only one state while a PATCH, a DELETE and %s wait for each other',
    async (_, create) => {
      // The database decides which of the two waiting ones is first.
      let actions = '';
      for (let round = 0; round < 50 && actions !== 'created,updated,deleted,created'; round++)
        actions = await race(create);
      expect(actions).toBe('created,updated,deleted,created');
    },
  );

  it('identifies a deleted project again only if it is imported exactly as it was', async () => {
    const path = await created();
    await api.patch(path).send({ name: 'second' }).expect(200);
    const { data } = (await api.delete(path).expect(200)).body;
    const importOf = (values: object) =>
      api
        .post('/api/projects/import')
        .type('application/x-ndjson')
        .send(JSON.stringify({ ...data, ...values }))
        .expect(200);
    await importOf({ name: 'edited' });
    expect((await api.get(path)).headers.etag).toBe('"4"');
    const edited = (await api.delete(path).expect(200)).body.data;
    await importOf(edited);
    expect((await api.get(path)).body.data).toEqual(edited);
  });

  it('cannot be reused by hand: a psql session gets an error with the required version', async () => {
    const path = await created();
    const id = path.split('/').at(-1)!;
    await api.delete(path).expect(200);
    await onDatabase(service.database.url, async (sql) => {
      const insert = (version: number) =>
        sql`insert into projects (id, name, description, technologies, version)
          values (${id}, 'x', '', '[]', ${version})`;
      await expect(insert(1)).rejects.toMatchObject({
        code: '40001',
        message: `The history of the project ${id} goes up to version 2 already.`,
      });
      await insert(3);
    });
    expect(await versionAt(path)).toBe(3);
  });
});

describe('If-Match', () => {
  it.each(['"1"', '*', '"7", "1"', '"7" ,\t"1"', ', "1",, "x,y"', 'W/"9","1"', ' "1" '])(
    'lets a project at version 1 be written with %s',
    async (tags) => {
      for (const [, write] of WRITES) {
        await write(await created(), 'x')
          .set('If-Match', tags)
          .expect(200);
      }
    },
  );

  it.each(['"2"', 'W/"1"', '""', '"01"', '"x"', '"1.0"', '"99999999999999999999"', '"2", W/"1"'])(
    'prevents a write to a project at version 1 with %s',
    async (tags) => {
      const path = await created();
      for (const [, write] of WRITES) {
        const { body } = await write(path, 'x').set('If-Match', tags).expect(412);
        expect(body).toEqual({ ...mismatch, instance: path });
      }
      await api.get(path).set('If-Match', tags).expect(412);
      expect(await versionAt(path)).toBe(1);
    },
  );

  it('also works for the highest versions', async () => {
    for (const version of [999_999_999, 1_000_000_000, 2 ** 31 - 1]) {
      const path = await at(version);
      await api.get(path).set('If-Match', `"${version}"`).expect(200);
      await api.get(path).set('If-None-Match', `"${version}"`).expect(304);
    }
    const path = await at(1_000_000_000);
    for (const beyond of [2 ** 31, 9_999_999_999])
      await api.patch(path).set('If-Match', `"${beyond}"`).send({ name: 'x' }).expect(412);
    const patch = api.patch(path).set('If-Match', '"1000000000"').send({ name: 'x' });
    expect((await patch.expect(200)).headers.etag).toBe('"1000000001"');
  });

  it.each(['1', '', '"1', '"1""2"', '*, "1"', '"1" "2"', 'w/"1"', ',', "'1'", '"a b"'])(
    'is refused when it is not a list of ETags: %s',
    async (tags) => {
      const path = await created();
      for (const [, write] of WRITES) {
        const { body } = await write(path, 'x').set('If-Match', tags).expect(400);
        expect(body).toMatchObject({
          code: 'invalid_header',
          detail: 'If-Match must be * or a list of ETags such as "7".',
        });
      }
      await api.get(path).set('If-None-Match', tags).expect(400);
      expect(await versionAt(path)).toBe(1);
    },
  );

  it('accepts up to a hundred tags', async () => {
    const path = await created();
    const tags = (count: number) => Array.from({ length: count }, (_, i) => `"${i + 1}"`).join();
    await api.patch(path).set('If-Match', tags(100)).send({ name: 'x' }).expect(200);
    await api.patch(path).set('If-Match', tags(101)).send({ name: 'x' }).expect(400);
  });

  it('is checked after the project is found: a missing project gets 404, but 412 when PUT would create it', async () => {
    for (const tags of ['"1"', '*']) {
      const path = `/api/projects/${randomUUID()}`;
      await api.patch(path).set('If-Match', tags).send({ name: 'x' }).expect(404);
      await api.delete(path).set('If-Match', tags).expect(404);
      await api.get(path).set('If-Match', tags).expect(404);
      await api.put(path).set('If-Match', tags).send(aProject()).expect(412);
      await api.get(path).expect(404);
    }
  });

  it('is checked after the body: an invalid body gets 400, also from the writer with the newest version', async () => {
    const path = await created();
    await api.put(path).set('If-Match', '"9"').send({}).expect(400);
    await api.patch(path).set('If-Match', '"9"').send({}).expect(400);
  });
});

describe('If-None-Match', () => {
  it.each(['"1"', 'W/"1"', '*', '"0", W/"1"', '"x",,"1"'])(
    'answers a read with 304, the ETag and no body for %s',
    async (tags) => {
      const path = await created();
      for (const method of ['get', 'head'] as const) {
        const { status, text, headers } = await api[method](path).set('If-None-Match', tags);
        expect({ status, text: text ?? '' }).toEqual({ status: 304, text: '' });
        expect(headers).toMatchObject({ etag: '"1"', 'x-request-id': expect.any(String) });
        expect(headers['content-type']).toBeUndefined();
        expect(headers['content-length']).toBeUndefined();
      }
    },
  );

  it.each(['"2"', 'W/"2"', '"01"', '"x"'])(
    'answers a read with the full body for %s',
    async (tags) => {
      const path = await created();
      const { body } = await api.get(path).set('If-None-Match', tags).expect(200);
      expect(body.data.version).toBe(1);
    },
  );

  it('has an effect only where an ETag exists: lists and health checks are answered in full', async () => {
    for (const path of ['/api/projects', '/health/live']) {
      await api.get(path).set('If-None-Match', '*').expect(200);
    }
  });

  it('answers 404 and not 304 for a missing project', async () => {
    await api.get(`/api/projects/${randomUUID()}`).set('If-None-Match', '*').expect(404);
  });

  it('* on PUT creates and never replaces: one of twenty concurrent requests creates', async () => {
    const path = `/api/projects/${randomUUID()}`;
    const { answers, counts } = await countStatuses(
      Array.from({ length: WRITERS }, () =>
        api.put(path).set('If-None-Match', '*').send(aProject()),
      ),
    );
    expect(counts).toEqual({ 201: 1, 412: WRITERS - 1 });
    const winner = answers.find(({ status }) => status === 201)!;
    await api.get(path).expect(200, winner.body);
  });

  it('prevents a write at the named versions', async () => {
    const path = await created();
    for (const [, write] of WRITES) {
      for (const tags of ['"1"', 'W/"1"', '*', '"3", "1"']) {
        const { body } = await write(path, 'x').set('If-None-Match', tags).expect(412);
        expect(body).toEqual({ ...mismatch, instance: path });
      }
    }
    expect(await versionAt(path)).toBe(1);
    for (const [, write] of WRITES) {
      await write(await created(), 'x')
        .set('If-None-Match', '"2", "x"')
        .expect(200);
    }
    await api
      .put(`/api/projects/${randomUUID()}`)
      .set('If-None-Match', '"1"')
      .send(aProject())
      .expect(201);
    await api
      .patch(`/api/projects/${randomUUID()}`)
      .set('If-None-Match', '*')
      .send({ name: 'x' })
      .expect(404);
  });

  it('and If-Match must both be true for a write', async () => {
    const path = await created();
    const put = (match: string, noneMatch: string) =>
      api.put(path).set('If-Match', match).set('If-None-Match', noneMatch).send(aProject());
    await put('"1"', '*').expect(412);
    await put('"1"', '"1"').expect(412);
    await put('"2"', '"2"').expect(412);
    await put('"1"', '"2"').expect(200);
  });
});
