import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import request from 'supertest';
import type { FeedMetaDto } from '../../src/changes/dto/change.dto.js';
import { encodeCursor } from '../../src/http/answers/cursor.js';
import { aProject } from '../support/builders.js';
import { startService, type TestService } from '../support/service.js';

let service: TestService;
let sql: postgres.Sql;
beforeAll(async () => {
  service = await startService();
  sql = postgres(service.database.url, { max: 2, onnotice: () => {} });
});
afterAll(async () => {
  await sql.end();
  await service.close();
});

const FEED = '/api/projects/changes';
const get = (path: string) => request(service.url).get(path);
const feed = (query = '') => get(`${FEED}${query}`);
const api = (id: string) => `/api/projects/${id}`;
const create = async (values?: Parameters<typeof aProject>[0]) =>
  (await request(service.url).post('/api/projects').send(aProject(values)).expect(201)).body.data;
/** Returns the current end of the feed. */
const theEnd = async () => (await feed('?after=now').expect(200)).body.meta.nextCursor as string;

/** Updates a project this many times; its description has the maximum length. */
const large = async (id: string, updates: number) => {
  for (let update = 0; update < updates; update++)
    await sql`update projects set description = ${'€'.repeat(20_000)} where id = ${id}`;
};

const problemOf = ({ status, body }: request.Response) => [status, body.code];
const invalidCursor = (path: string) => ({
  status: 400,
  code: 'invalid_cursor',
  errors: [{ path, message: 'must be the nextCursor of a page of the same list' }],
});

describe('GET /api/projects/changes', () => {
  it('returns each change completely, from every route, in commit order', async () => {
    const after = await theEnd();
    const created = await create();
    const { headers, body: patched } = await request(service.url)
      .patch(api(created.id))
      .send({ name: 'Other' })
      .expect(200);
    await sql`delete from projects where id = ${created.id}`;
    const { body } = await feed(`?after=${after}`).expect(200);
    const change = {
      cursor: expect.any(String),
      projectId: created.id,
      actor: '',
      at: expect.any(String),
    };
    expect(body).toEqual({
      success: true,
      data: [
        {
          ...change,
          action: 'created',
          version: 1,
          before: null,
          after: created,
          requestId: expect.any(String),
        },
        {
          ...change,
          action: 'updated',
          version: 2,
          before: created,
          after: patched.data,
          requestId: headers['x-request-id'],
        },
        {
          ...change,
          action: 'deleted',
          version: 3,
          before: patched.data,
          after: null,
          requestId: '',
        },
      ],
      meta: { limit: 50, nextCursor: body.data[2].cursor, hasMore: false },
    });
    expect(Object.keys(body.data[0])).toEqual(
      'cursor projectId action version before after actor requestId at'.split(' '),
    );
    for (const { at } of body.data) expect(new Date(at).toISOString()).toBe(at);
    expect(body.data[0].at).toBe(created.createdAt);
  });

  it('continues from any cursor, also at the end, and always returns the next cursor', async () => {
    const after = await theEnd();
    expect((await feed(`?after=${after}`).expect(200)).body).toEqual({
      success: true,
      data: [],
      meta: { limit: 50, nextCursor: after, hasMore: false },
    });
    const names = ['one', 'two', 'three'];
    for (const name of names) await create({ name });
    const walked: string[] = [];
    for (let cursor = after, more = true; more;) {
      const { body } = await feed(`?limit=1&after=${cursor}`).expect(200);
      walked.push(
        ...body.data.map(({ after: project }: { after: { name: string } }) => project.name),
      );
      expect(body.meta.limit).toBe(1);
      ({ nextCursor: cursor, hasMore: more } = body.meta);
    }
    expect(walked).toEqual(names);
    const { body } = await feed(`?after=${after}`);
    const behindFirst = await feed(`?after=${body.data[0].cursor}`);
    expect(behindFirst.body.data).toEqual(body.data.slice(1));
    expect((await feed('?limit=1').expect(200)).body.meta.hasMore).toBe(true);
  });

  it.each(['limit=0', 'limit=201', 'limit=x', 'limit=1&limit=2', 'after=a&after=b', 'since=now'])(
    'refuses %s',
    async (query) => {
      expect(problemOf(await feed(`?${query}`))).toEqual([400, 'validation_failed']);
    },
  );

  it('refuses a forged or shortened cursor, or one of another list', async () => {
    const { id } = await create();
    await request(service.url).patch(api(id)).send({ name: 'Other' });
    await create();
    const { cursor } = (await feed('?limit=1')).body.data[0];
    const ofProjects = (await get('/api/projects?limit=1')).body.meta.nextCursor;
    const ofHistory = (await get(`${api(id)}/history?limit=1`)).body.meta.nextCursor;
    const [position, digest] = cursor.split('.');
    const forged = [
      cursor.slice(0, -1),
      position,
      `${Buffer.from('[1,0]').toString('base64url')}.${digest}`,
      'nonsense',
      ofProjects,
      ofHistory,
      ...[['1', '0', '0'], [1.5, 0, 0], [-1, 0, 0], [], [1], [1, 0], [1, 0, 0, 0]].map((keys) =>
        encodeCursor(keys, 'changes of project'),
      ),
      '',
      encodeCursor({ length: 2 } as never, 'changes of project'),
    ];
    for (const after of forged)
      expect((await feed(`?after=${after}`)).body).toMatchObject(invalidCursor('after'));
    expect(
      (await feed().set('Accept', 'text/event-stream').set('Last-Event-ID', forged[0])).body,
    ).toMatchObject(invalidCursor('Last-Event-ID'));
    const otherShapes = [[], [-1], [1, 2], ['1']].map((keys) =>
      encodeCursor(keys, `history of project ${id}`),
    );
    for (const after of [cursor, ofProjects, '', ...otherShapes])
      expect((await get(`${api(id)}/history?after=${after}`)).body).toMatchObject(
        invalidCursor('after'),
      );
    expect((await get(`/api/projects?after=${cursor}`)).body).toMatchObject(invalidCursor('after'));
  });

  it('reports to a late reader that changes were removed, also before a stream begins', async () => {
    const after = await theEnd();
    await create();
    await sql`update change_expiry set
      position = (select max(position) from change_commits), sequence = (select max(sequence) from changes)`;
    await create();
    const late = await feed(`?after=${after}`);
    expect(late.body).toMatchObject({ status: 410, code: 'cursor_expired' });
    const stream = feed(`?after=${after}`).set('Accept', 'text/event-stream');
    expect(problemOf(await stream)).toEqual([410, 'cursor_expired']);
    expect(late.headers['content-type']).toBe('application/problem+json');
    const { body } = await feed().expect(200);
    expect(body.data).toHaveLength(1);
    await sql`update change_expiry set position = 0, sequence = 0`;
  });

  it('follows the contract of every route for HEAD, other methods and Accept', async () => {
    const head = await request(service.url).head(FEED).expect(200);
    expect(head.headers['content-type']).toMatch(/^application\/json/);
    const stream = await request(service.url)
      .head(FEED)
      .set('Accept', 'text/event-stream')
      .expect(200);
    expect(stream.headers['content-type']).toBe('text/event-stream');
    expect(stream.headers.vary).toBe('Accept');
    const post = await request(service.url).post(FEED).expect(405);
    expect(post.headers.allow).toMatch(/GET, HEAD/);
    expect(problemOf(await feed().set('Accept', 'text/html'))).toEqual([406, 'not_acceptable']);
    expect((await feed().set('Accept', 'text/html')).body.detail).toBe(
      'This route answers application/json or text/event-stream.',
    );
    for (const accept of ['*/*', 'application/*', 'text/event-stream;q=0.5, application/json'])
      expect((await feed().set('Accept', accept).expect(200)).body.success).toBe(true);
    // Other routes have no events.
    const list = get('/api/projects').set('Accept', 'text/event-stream');
    expect(problemOf(await list)).toEqual([406, 'not_acceptable']);
  });
});

describe('GET /api/projects/:id/history', () => {
  it('returns what changed, when and by whom, the latest first, also for a deleted project', async () => {
    const created = await create({ technologies: ['C'] });
    const send = (values: object) =>
      request(service.url)
        .patch(api(created.id))
        .set('X-Request-Id', 'r-7')
        .send(values)
        .expect(200);
    const second = (await send({ technologies: ['C', 'SQL'], name: 'Second' })).body.data;
    const same = (await send({ name: 'Second' })).body.data;
    const deleted = await request(service.url).delete(api(created.id)).expect(200);
    const { body } = await get(`${api(created.id)}/history`).expect(200);
    const of = { actor: '', requestId: 'r-7' };
    expect(body).toEqual({
      success: true,
      data: [
        {
          ...of,
          version: 4,
          action: 'deleted',
          changed: [],
          before: same,
          after: null,
          requestId: deleted.headers['x-request-id'],
          at: expect.any(String),
        },
        {
          ...of,
          version: 3,
          action: 'updated',
          changed: [],
          before: second,
          after: same,
          at: same.updatedAt,
        },
        {
          ...of,
          version: 2,
          action: 'updated',
          changed: ['name', 'technologies'],
          before: created,
          after: second,
          at: second.updatedAt,
        },
        {
          ...of,
          version: 1,
          action: 'created',
          changed: [],
          before: null,
          after: created,
          requestId: expect.any(String),
          at: created.createdAt,
        },
      ],
      meta: { limit: 50, nextCursor: null, hasMore: false },
    });
    expect(Object.keys(body.data[0])).toEqual(
      'version action changed before after actor requestId at'.split(' '),
    );
  });

  it('is paged by key and has a Link to the next page', async () => {
    const { id } = await create();
    for (const name of ['two', 'three', 'four', 'five'])
      await request(service.url).patch(api(id)).send({ name }).expect(200);
    const versions: number[] = [];
    for (let path: string | undefined = `${api(id)}/history?limit=2`; path;) {
      const { body, headers }: request.Response = await get(path).expect(200);
      versions.push(...body.data.map(({ version }: { version: number }) => version));
      const { nextCursor, hasMore } = body.meta;
      expect(hasMore).toBe(nextCursor !== null);
      path = /^<([^>]+)>; rel="next"$/.exec(headers.link ?? '')?.[1];
      expect(path !== undefined).toBe(hasMore);
      if (path) expect(new URL(path, 'http://x').searchParams.get('after')).toBe(nextCursor);
    }
    expect(versions).toEqual([5, 4, 3, 2, 1]);
  });

  it('returns no more than some megabytes at a time, like the feed, however large the versions are', async () => {
    const after = await theEnd();
    const { id } = await create();
    await large(id, 40);
    for (const path of [`${FEED}?limit=200&after=${after}`, `${api(id)}/history?limit=200`]) {
      const versions: number[] = [];
      for (let next: string | undefined = path; next;) {
        const { text, body }: request.Response = await get(next).expect(200);
        expect(Buffer.byteLength(text)).toBeLessThan(2 * 1024 * 1024);
        versions.push(...body.data.map(({ version }: { version: number }) => version));
        const { hasMore, nextCursor }: FeedMetaDto = body.meta;
        next = hasMore ? `${path.replace(/&after=.*/, '')}&after=${nextCursor}` : undefined;
      }
      const ascending = versions.toSorted((a, b) => a - b);
      expect(ascending).toEqual(Array.from({ length: 41 }, (_, i) => i + 1));
    }
  });

  it('answers 404 only for an id that never existed, and is empty when all changes of a project were removed', async () => {
    expect(problemOf(await get(`${api(randomUUID())}/history`))).toEqual([404, 'not_found']);
    expect(problemOf(await get(`${api('42')}/history`))).toEqual([400, 'invalid_id']);
    const { id } = await create();
    await sql`delete from changes where entity_id = ${id}`;
    expect((await get(`${api(id.toUpperCase())}/history`).expect(200)).body).toEqual({
      success: true,
      data: [],
      meta: { limit: 50, nextCursor: null, hasMore: false },
    });
  });
});
