import { randomInt } from 'node:crypto';
import { type INestApplication, UnauthorizedException } from '@nestjs/common';
import { jest } from '@jest/globals';
import type { OpenAPIObject } from '@nestjs/swagger';
import postgres from 'postgres';
import request from 'supertest';
import type { ProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { createOpenApiDocument } from '../../src/openapi.js';
import { PROBLEMS, type ProblemCode } from '../../src/http/problems/problem.js';
import { PROJECTS_FACTORY } from '../../src/projects/projects.tokens.js';
import { aProject } from '../support/builders.js';
import { operationsOf } from '../../src/testing/index.js';
import { type Forged, forgeRequest, forgeSearch, MARKER } from '../support/hostile-requests.js';
import { startProxy } from '../support/proxy.js';
import { exchangeOne, head, type RawAnswer } from '../support/raw-http.js';
import { startService, type TestService } from '../support/service.js';

const LIST = '/api/projects';
const ID = '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10';
const ITEM = `${LIST}/${ID}`;
const REQUESTS = 1600;
/** The documented answers of each path, for all operations together. */
const ANYWHERE = [400, 404, 405, 413, 415, 417, 431];

const LEAKS = [
  MARKER,
  /\b(select|insert into|update|delete from) .*\b(from|values|set|where)\b/is,
  /postgres|drizzle|SQLSTATE|relation|violates|syntax error|unexpected token|node_modules|\.[jt]s:\d/i,
  /\n\s+at |Error:|ECONN/,
];

let service: TestService;
let document: OpenAPIObject;
beforeAll(async () => {
  service = await startService({ DATABASE_MAX_CONNECTIONS: '4' });
  document = createOpenApiDocument(service.app);
  await request(service.url).put(ITEM).send(aProject()).expect(201);
});
afterAll(() => service.close());

/** Returns the faults of the answer to a request; empty if it follows the contract. */
function faultsOf(forged: Forged, answer: RawAnswer): string[] {
  const { status, headers, body } = answer;
  const faults: string[] = [];
  if (!documented(forged).includes(status)) faults.push(`${status} is not documented`);
  if (!headers['x-request-id']) faults.push('has no X-Request-Id');
  const said = JSON.stringify({ ...headers, 'x-request-id': undefined }) + withoutInstance(body);
  if (status >= 400) {
    faults.push(
      ...LEAKS.filter((leak) => said.search(leak) >= 0).map((leak) => `leaks ${String(leak)}`),
    );
    if (forged.method !== 'HEAD') faults.push(...problemFaults(answer));
  } else if (!forged.path.startsWith('/docs') && body !== '') {
    const { success, data } = JSON.parse(body);
    if (success !== true || data === undefined) faults.push('is no envelope');
  }
  return faults;
}

function problemFaults({ status, headers, body }: RawAnswer): string[] {
  const problem = JSON.parse(body);
  const kind = PROBLEMS[problem.code as ProblemCode];
  const expected = {
    success: false,
    type: `urn:problem-type:${problem.code}`,
    title: kind.title,
    status: kind.status,
    detail: expect.any(String),
    instance: expect.any(String),
    code: problem.code,
    ...(problem.code === 'validation_failed' && { errors: expect.any(Array) }),
    requestId: headers['x-request-id'],
  };
  try {
    expect(problem).toEqual(expected);
    expect(problem.status).toBe(status);
    expect(headers['content-type']).toBe('application/problem+json');
    expect(Buffer.byteLength(body)).toBeLessThan(70_000);
    return [];
  } catch (error) {
    return [(error as Error).message];
  }
}

/** An answer may repeat the path of the request. */
function withoutInstance(body: string): string {
  return body.startsWith('{') ? JSON.stringify({ ...JSON.parse(body), instance: '' }) : body;
}

function documented({ method, path }: Forged): number[] {
  const route = path
    .replace(/^http:\/\/[^/]+|#.*/g, '')
    .replace(/(?<=^\/api\/projects\/)(?!batch$)[^/]+$/, '{id}');
  const operation = operationsOf(document).find(
    (known) =>
      known.path === route && known.method === (method === 'HEAD' ? 'get' : method.toLowerCase()),
  );
  const own = Object.keys(operation?.responses ?? { 204: {} }).map(Number);
  return [...ANYWHERE, ...own].filter((status) => status < 500);
}

const seed = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 31));

it(`the service answers ${REQUESTS} hostile requests as documented and leaks nothing (FUZZ_SEED=${seed})`, async () => {
  const seen = new Map<number, number>();
  const faults: unknown[] = [];
  let next = 0;
  const attack = async () => {
    for (let i = next++; i < REQUESTS; i = next++) {
      const forged = forgeRequest(seed + i, ITEM);
      const answer = await exchangeOne(service.url, forged.head, forged.body);
      seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
      const wrong = faultsOf(forged, answer);
      const said = `${answer.status} ${answer.body.slice(0, 500)}`;
      if (wrong.length > 0) faults.push({ i, wrong, head: forged.head.slice(0, 500), said });
    }
  };
  await Promise.all(Array.from({ length: 8 }, attack));
  expect(faults.slice(0, 5)).toEqual([]);
  // The attack reaches all parts: not every request is refused by the first check.
  expect([...seen.keys()]).toEqual(
    expect.arrayContaining([200, 201, 400, 404, 405, 406, 412, 415, 431]),
  );
  await request(service.url)
    .put(ITEM)
    .send(aProject())
    .expect(/"success":true/);
}, 60_000);

it(`the service answers any q with results or refuses it by name (FUZZ_SEED=${seed})`, async () => {
  const seen = new Map<string, number>();
  const faults: unknown[] = [];
  for (let i = 0; i < 600; i++) {
    const q = forgeSearch(seed + i);
    const path = i % 6 === 0 ? `${LIST}/export` : LIST;
    const { status, body } = await request(service.url).get(path).query({ q });
    const said = status === 200 ? 'found' : `${body.code} ${body.errors?.[0].path}`;
    seen.set(said, (seen.get(said) ?? 0) + 1);
    if (!['found', 'validation_failed q'].includes(said)) faults.push({ q, status, said });
  }
  expect(faults.slice(0, 5)).toEqual([]);
  expect(Math.min(seen.get('found')!, seen.get('validation_failed q')!)).toBeGreaterThan(20);
}, 60_000);

describe('a value that would break a default Nest application', () => {
  const post = (body: string) =>
    request(service.url).post(LIST).type('application/json').send(body);
  const inField = (field: string, json: string) =>
    JSON.stringify({ ...aProject(), [field]: 0 }).replace(`"${field}":0`, `"${field}":${json}`);

  it.each([
    ['U+0000 in text', inField('name', '"a\\u0000b"'), 'invalid_encoding'],
    ['U+0000 in a list', inField('technologies', '["a\\u0000b"]'), 'invalid_encoding'],
    ['U+0000 in a key', inField('a\\u0000b', '1').replaceAll('\\\\', '\\'), 'invalid_encoding'],
    ['an unpaired surrogate in text', inField('name', '"\\ud800"'), 'invalid_encoding'],
    ['an unpaired surrogate in a list', inField('technologies', '["\\udc00"]'), 'invalid_encoding'],
    ['a reversed surrogate pair', inField('description', '"\\udc00\\ud800"'), 'invalid_encoding'],
    ['an unpaired surrogate in a key', `{"\\ud800":1}`, 'invalid_encoding'],
    ['a number that is too large', inField('name', '1e400'), 'validation_failed'],
    ['a huge number', inField('description', '9'.repeat(5000)), 'validation_failed'],
    [
      '3,000 levels in a field',
      inField('name', '['.repeat(3000) + ']'.repeat(3000)),
      'validation_failed',
    ],
    [
      '3,000 levels in an unknown field',
      inField('x', '{"a":'.repeat(3000) + '1' + '}'.repeat(3000)),
      'validation_failed',
    ],
    ['100,000 levels that are not closed', '{"a":' + '['.repeat(100_000), 'invalid_json'],
    ['__proto__', inField('__proto__', '{"name":"x"}'), 'validation_failed'],
    ['constructor', inField('constructor', '{"prototype":{"polluted":1}}'), 'validation_failed'],
    ['hasOwnProperty', inField('hasOwnProperty', '1'), 'validation_failed'],
  ])('%s gets 400', async (_, body, code) => {
    const answer = await post(body);
    expect(answer.body).toMatchObject({ success: false, status: 400, code });
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it.each([
    'limit=%00',
    'limit=1e20',
    'limit=99999999999999999999',
    'limit=1%00',
    '%00=1',
    '__proto__=1',
    'toString=1',
    'limit=Infinity',
    'limit=null',
  ])('gets 400 as the query %s', async (query) => {
    const { body } = await request(service.url).get(`${LIST}?${query}`);
    expect(body).toMatchObject({ success: false, status: 400 });
  });

  it.each([
    ['90,000 unknown fields', `{${Array.from({ length: 90_000 }, (_, i) => `"k${i}":1`).join()}}`],
    ['an unknown field with a name of 900,000 characters', `{"${'k'.repeat(900_000)}":1}`],
    [
      '100,000 different technologies',
      inField('technologies', `["${Array.from({ length: 100_000 }, (_, i) => i).join('","')}"]`),
    ],
    ['50,000 empty lists', inField('x', `[${'[],'.repeat(50_000)}[]]`)],
    ['a megabyte of empty lists', inField('technologies', `[${'[],'.repeat(340_000)}[]]`)],
  ])('%s are refused quickly with a short answer', async (_, body) => {
    // The service runs in this process, so its processor time counts and not that of other programs.
    const before = process.cpuUsage();
    const { status, text } = await post(body);
    const { user } = process.cpuUsage(before);
    expect(status).toBe(400);
    expect(text.length).toBeLessThan(1000);
    expect(user / 1000).toBeLessThan(3000);
  });

  it('may be SQL, which is stored like any text', async () => {
    const name = `'); drop table projects; --`;
    const { body } = await post(JSON.stringify(aProject({ name, technologies: [name] })));
    expect(body.data).toMatchObject({ name, technologies: [name] });
    await request(service.url).get(LIST).expect(200);
  });
});

/** Returns every operation on projects, once. */
function everyRoute(url: string): [string, () => request.Test][] {
  const api = request(url);
  return [
    ['GET list', () => api.get(LIST)],
    ['GET', () => api.get(ITEM)],
    ['POST', () => api.post(LIST).send(aProject({ name: MARKER }))],
    [
      'POST with a key',
      () =>
        api
          .post(LIST)
          .set('Idempotency-Key', MARKER)
          .send(aProject({ name: MARKER })),
    ],
    [
      'POST batch',
      () => api.post(`${LIST}/batch`).send({ operations: [{ op: 'delete', id: ID }] }),
    ],
    ['PUT', () => api.put(ITEM).send(aProject({ name: MARKER }))],
    ['PATCH', () => api.patch(ITEM).send({ name: MARKER })],
    ['DELETE', () => api.delete(ITEM)],
  ];
}

async function expectUnavailable(url: string, withinMs: number): Promise<void> {
  const startedAt = performance.now();
  const answers = everyRoute(url).map(async ([route, send]) => {
    const { status, headers, body } = await send();
    expect({ route, status, body }).toEqual({
      route,
      status: 503,
      body: {
        success: false,
        type: `urn:problem-type:${body.code}`,
        title: expect.any(String),
        status: 503,
        detail: expect.any(String),
        instance: expect.any(String),
        code: expect.stringMatching(/^(database_unavailable|pool_exhausted|statement_timeout)$/),
        requestId: headers['x-request-id'],
      },
    });
    expect(headers['retry-after']).toBe('1');
  });
  await Promise.all(answers);
  expect(performance.now() - startedAt).toBeLessThan(withinMs);
  await request(url).get('/health/live').expect(200);
  const ready = await request(url).get('/health/ready').expect(503);
  expect(ready.body).toMatchObject({ code: 'not_ready', errors: [{ path: 'database' }] });
}

describe('without a database', () => {
  it('every route answers 503 with Retry-After at once', async () => {
    const nobody = await startService({
      DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing',
      MIGRATIONS: 'off',
    });
    try {
      await expectUnavailable(nobody.url, 3000);
    } finally {
      await nobody.close();
    }
  });

  it('every running request gets 503 within its time limit, and the service recovers by itself', async () => {
    const proxy = await startProxy(service.database.url);
    const behind = await startService({
      DATABASE_URL: proxy.url,
      DATABASE_STATEMENT_TIMEOUT_MS: '200',
      DATABASE_ACQUIRE_TIMEOUT_MS: '500',
      DATABASE_CONNECT_TIMEOUT: '1',
      MIGRATIONS: 'off',
    });
    const works = () =>
      request(behind.url)
        .put(ITEM)
        .send(aProject())
        .expect(/"success":true/);
    try {
      await works();
      proxy.freeze();
      await expectUnavailable(behind.url, 5000);
      proxy.thaw();
      await works();
      proxy.refuse();
      await expectUnavailable(behind.url, 5000);
      await proxy.accept();
      await works();
    } finally {
      await behind.close();
      proxy.close();
    }
  });

  it('a request that waits for the database is not refused as invalid', async () => {
    const nobody = await startService({
      DATABASE_URL: 'postgres://nobody@127.0.0.1:1/nothing',
      MIGRATIONS: 'off',
    });
    try {
      await request(nobody.url).post(LIST).send({}).expect(400);
      await request(nobody.url).get(`${LIST}/1`).expect(400);
      await request(nobody.url).get('/api/nothing').expect(404);
    } finally {
      await nobody.close();
    }
  });
});

describe('a fault of the service', () => {
  let broken: TestService;
  let log: jest.SpiedFunction<typeof process.stderr.write>[];

  beforeAll(async () => {
    log = [process.stdout, process.stderr].map((stream) =>
      jest.spyOn(stream, 'write').mockImplementation(() => true),
    );
    broken = await startService({ LOG_LEVEL: 'info', LOG_FORMAT: 'json' });
  });
  beforeEach(() => log.forEach((spy) => spy.mockClear()));
  afterAll(async () => {
    await broken.close();
    log.forEach((spy) => spy.mockRestore());
  });

  const logged = () => log.flatMap((spy) => spy.mock.calls.map(([text]) => String(text))).join('');

  function expectInternalError({ status, body, text }: request.Response): void {
    expect({ status, body }).toEqual({
      status: 500,
      body: {
        success: false,
        type: 'urn:problem-type:internal_error',
        title: 'The service failed',
        status: 500,
        detail: 'The service failed. Find the error in its log by the request id.',
        instance: LIST,
        code: 'internal_error',
        requestId: expect.any(String),
      },
    });
    expect(text).not.toContain(MARKER);
    expect(logged()).toContain(body.requestId);
    expect(logged()).not.toContain(MARKER);
  }

  /** Makes the next list run this function. */
  function whenListing(app: INestApplication, work: () => never): void {
    const projects = app.get<ProjectsFactory>(PROJECTS_FACTORY, { strict: false });
    jest.spyOn(projects, 'listProjects').mockImplementationOnce(async () => work());
  }

  it('in the database becomes 500 without details, and the log contains no values', async () => {
    const sql = postgres(broken.database.url, { max: 1, onnotice: () => {} });
    await sql.unsafe(`
      create function fail() returns trigger language plpgsql as $$
      begin raise exception 'failed on %', new.name using errcode = 'XX000', detail = new.description; end $$;
      create trigger fail before insert on projects for each row execute function fail();`);
    const name = `${MARKER}\n    at ${MARKER} (forged.js:1:1)`;
    const answer = await request(broken.url)
      .post(LIST)
      .send(aProject({ name, description: MARKER }));
    expectInternalError(answer);
    expect(logged()).toContain('XX000');
    await sql.unsafe('drop trigger fail on projects; drop function fail;');
    await sql.end();
  });

  it('in the driver without a code also becomes 500', async () => {
    whenListing(broken.app, () => {
      const message = `Failed query: select $1\nparams: ${MARKER}\n    at ${MARKER}`;
      throw new Error(message, { cause: new TypeError('cannot serialize') });
    });
    expectInternalError(await request(broken.url).get(LIST));
    expect(logged()).toContain('cannot serialize');
  });

  it.each([null, undefined, MARKER, { status: 200 }, { message: MARKER }])(
    'that throws %j instead of an error also becomes 500',
    async (thrown) => {
      whenListing(broken.app, () => {
        // eslint-disable-next-line @typescript-eslint/only-throw-error
        throw thrown;
      });
      expectInternalError(await request(broken.url).get(LIST));
    },
  );

  it('is not reported when a guard of a host application refuses a request', async () => {
    whenListing(broken.app, () => {
      throw new UnauthorizedException(MARKER, { cause: new Error(MARKER) });
    });
    const { body, text } = await request(broken.url).get(LIST).expect(401);
    expect(body.code).toBe('unauthorized');
    expect(text).not.toContain(MARKER);
  });

  it('leaves no query and no value in the log, and neither does a request', async () => {
    await request(broken.url).get(`${LIST}?nonsense=${MARKER}`).expect(400);
    await request(broken.url).post(LIST).send({ name: MARKER, x: MARKER }).expect(400);
    await request(broken.url)
      .post(LIST)
      .send(aProject({ name: MARKER }))
      .expect(201);
    const forged = head(`GET ${LIST} HTTP/1.1`, `X-Request-Id: ${MARKER} ${MARKER}`);
    await exchangeOne(broken.url, forged);
    expect(logged()).toContain(`"method":"POST","route":"${LIST}","status":201`);
    expect(logged()).not.toContain(MARKER);
  });
});
