import { hash } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { jest } from '@jest/globals';
import request from 'supertest';
import { PROBLEM_MEDIA_TYPE } from '../../src/http/problems/problem.js';
import { createOpenApiDocument } from '../../src/openapi.js';
import { aProject } from '../support/builders.js';
import { operationsOf, routesOf } from '../../src/testing/index.js';
import { forgeRequest } from '../support/hostile-requests.js';
import { exchange, exchangeOne, head } from '../support/raw-http.js';
import { startService, type TestService } from '../support/service.js';

const KEYS = { ci: 'key-of-ci', reader: 'key-of-reader', writer: 'key-of-writer' };
const SCOPES = { ci: 'read+write', reader: 'read', writer: 'write' };

/** All routes that need no key. */
const PUBLIC = [/^\/health\//, /^\/docs(\/|$)/];

const LACKING = 'Bearer realm="projects"';
const INVALID = `${LACKING}, error="invalid_token"`;

const AUTH_API_KEYS = Object.entries(KEYS)
  .map(([name, key]) => `${name}:${SCOPES[name as keyof typeof SCOPES]}:${hash('sha256', key)}`)
  .join(',');

let service: TestService;
beforeAll(async () => {
  service = await startService({ AUTH_MODE: 'api-key', AUTH_API_KEYS });
});
afterAll(() => service.close());

async function ask(route: string, authorization?: string) {
  const [method, path] = route.split(' ') as [string, string];
  const url = service.url + path.replace(/\{\w+\}/g, '00000000-0000-4000-8000-000000000000');
  const headers = new Headers(authorization === undefined ? {} : { Authorization: authorization });
  const response = await fetch(url, { method, headers });
  const text = await response.text();
  const isProblem = response.headers.get('content-type') === PROBLEM_MEDIA_TYPE;
  const code = isProblem && text ? (JSON.parse(text) as { code: string }).code : undefined;
  return [response.status, code, response.headers.get('www-authenticate')];
}

describe('every route', () => {
  const guarded = () =>
    routesOf(service.app).filter((route) => !PUBLIC.some((path) => path.test(pathOf(route))));
  const pathOf = (route: string) => route.split(' ')[1]!;

  it('refuses callers without credentials unless it is public', async () => {
    expect(guarded().length).toBeGreaterThan(11);
    for (const route of guarded()) {
      expect([route, ...(await ask(route))]).toEqual([route, 401, 'unauthorized', LACKING]);
      const unknown = await ask(route, 'Bearer unknown');
      expect([route, ...unknown]).toEqual([route, 401, 'unauthorized', INVALID]);
    }
  });

  it('needs the scope read for GET and the scope write for all other methods', async () => {
    for (const route of guarded()) {
      const reads = route.startsWith('GET ');
      const [scope, wrong] = reads ? ['read', KEYS.writer] : ['write', KEYS.reader];
      expect([route, ...(await ask(route, `Bearer ${wrong}`))]).toEqual([
        route,
        403,
        'insufficient_scope',
        `${LACKING}, error="insufficient_scope", scope="projects:${scope}"`,
      ]);
      const [status, , challenge] = await ask(route, `Bearer ${reads ? KEYS.reader : KEYS.writer}`);
      expect([route, [401, 403].includes(status as number), challenge]).toEqual([
        route,
        false,
        null,
      ]);
    }
  });

  it('states in the document whether it needs a key', () => {
    const document = createOpenApiDocument(service.app);
    expect(document.security).toEqual([{ bearer: [] }]);
    const open = operationsOf(document)
      .filter((operation) => 'security' in operation)
      .map(({ path }) => path);
    expect(open.length).toBeGreaterThan(0);
    expect(open.filter((path) => !PUBLIC.some((known) => known.test(path)))).toEqual([]);
  });
});

describe('a public route', () => {
  it.each(['/health/live', '/health/ready', '/docs', '/docs/openapi.json', '/docs/openapi.yaml'])(
    'is %s',
    async (path) => {
      const response = await fetch(service.url + path);
      expect(response.status).toBe(200);
      await response.text(); // an unread document would keep its connection open
    },
  );

  it('cannot be imitated by another spelling of a path', async () => {
    for (const path of ['/docs/../api/projects', '/health/../api/projects', '//api/projects']) {
      const answer = await exchangeOne(service.url, head(`GET ${path} HTTP/1.1`));
      expect([path, answer.status]).toEqual([path, 404]);
    }
  });
});

describe('credentials', () => {
  it.each([
    ['Basic a2V5OnNlY3JldA==', LACKING],
    ['', LACKING],
    [KEYS.ci, LACKING],
    [`Bearers ${KEYS.ci}`, LACKING],
    ['Bearer', INVALID],
    [`Bearer ${KEYS.ci} ${KEYS.ci}`, INVALID],
    [`Bearer ${KEYS.ci},`, INVALID],
    [`Bearer ${hash('sha256', KEYS.ci)}`, INVALID],
    [`Bearer "${KEYS.ci}"`, INVALID],
  ])('are refused: %j', async (authorization, challenge) => {
    expect(await ask('GET /api/projects', authorization)).toEqual([401, 'unauthorized', challenge]);
  });

  it.each(['Bearer', 'bearer', 'BEARER', 'Bearer  '])(
    'accept the scheme in any case: %j',
    async (scheme) => {
      expect((await ask('GET /api/projects', `${scheme} ${KEYS.ci}`))[0]).toBe(200);
    },
  );

  it('are read only from the Authorization header', async () => {
    for (const name of ['access_token', 'key', 'api_key']) {
      expect((await ask(`GET /api/projects?${name}=${KEYS.ci}`))[0]).toBe(401);
      const both = await ask(`GET /api/projects?${name}=${KEYS.ci}`, `Bearer ${KEYS.ci}`);
      expect(both.slice(0, 2)).toEqual([400, 'validation_failed']);
    }
    for (const [name, value] of [
      ['X-API-Key', KEYS.ci],
      ['Cookie', `Authorization=Bearer ${KEYS.ci}`],
      ['Proxy-Authorization', `Bearer ${KEYS.ci}`],
    ] as const) {
      const answer = await request(service.url).get('/api/projects').set(name, value);
      expect([name, answer.status]).toEqual([name, 401]);
    }
  });

  it('are refused when there are two headers, because a gateway may have checked the other one', async () => {
    for (const pair of [
      [KEYS.ci, 'unknown'],
      ['unknown', KEYS.ci],
      [KEYS.ci, KEYS.ci],
    ]) {
      const lines = pair.map((key, i) => `${i ? 'AUTHORIZATION' : 'Authorization'}: Bearer ${key}`);
      const answer = await exchangeOne(service.url, head('GET /api/projects HTTP/1.1', ...lines));
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'bad_request' });
      expect(answer.headers['www-authenticate']).toBe(`${LACKING}, error="invalid_request"`);
    }
  });
});

describe('hostile requests', () => {
  // HOSTILE_REQUESTS=10000 sends more of them.
  const count = Number(process.env.HOSTILE_REQUESTS ?? 300);

  it('get no 5xx and leave no key in the log, with and without credentials', async () => {
    const lines: unknown[] = [];
    const methods = ['log', 'warn', 'error', 'debug'] as const;
    for (const method of methods)
      jest
        .spyOn(Logger.prototype, method)
        .mockImplementation((line: unknown) => void lines.push(line));
    jest.spyOn(Logger, 'isLevelEnabled').mockReturnValue(true);
    const logged = await startService({ AUTH_MODE: 'api-key', AUTH_API_KEYS, LOG_FORMAT: 'json' });
    const item = '/api/projects/00000000-0000-4000-8000-000000000001';
    const faults: string[] = [];
    for (let seed = 0; seed < count; seed++) {
      const { head: text, body } = forgeRequest(seed, item);
      const withKey = text.replace('\r\n', `\r\nAuthorization: Bearer ${KEYS.ci}\r\n`);
      for (const sent of seed % 2 ? [withKey] : [text])
        for (const { status } of await exchange(logged.url, sent, body))
          if (status >= 500) faults.push(`${status} to ${seed}`);
    }
    expect(faults).toEqual([]);
    expect(lines.length).toBeGreaterThan(count / 2);
    expect(JSON.stringify(lines)).not.toContain(KEYS.ci);
    jest.restoreAllMocks();
    await logged.close();
  }, 900_000);
});

it('the service does not read the body of a caller without credentials', async () => {
  for (const body of ['{"name":', `"${'x'.repeat(2_000_000)}"`]) {
    const response = await fetch(`${service.url}/api/projects`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body,
    });
    expect(response.status).toBe(401);
  }
  const huge = 'Content-Length: 1000000000';
  const type = 'Content-Type: application/json';
  const answer = await exchangeOne(service.url, head('POST /api/projects HTTP/1.1', type, huge));
  expect(answer.status).toBe(401);
});

describe('the caller', () => {
  it('is recorded as the actor in the history and in the feed', async () => {
    const created = await request(service.url)
      .post('/api/projects')
      .auth(KEYS.ci, { type: 'bearer' })
      .send(aProject())
      .expect(201);
    const history = await request(service.url)
      .get(`/api/projects/${created.body.data.id}/history`)
      .auth(KEYS.reader, { type: 'bearer' });
    expect(history.body.data).toMatchObject([{ action: 'created', actor: 'ci' }]);
  });

  it('has separate idempotency keys', async () => {
    const create = (key: string) =>
      request(service.url)
        .post('/api/projects')
        .auth(key, { type: 'bearer' })
        .set('Idempotency-Key', 'one and the same'.replaceAll(' ', '-'))
        .send(aProject({ name: 'Of two callers' }));
    const [first, other, again] = [
      await create(KEYS.ci),
      await create(KEYS.writer),
      await create(KEYS.ci),
    ];
    expect([first.status, other.status, again.status]).toEqual([201, 201, 201]);
    expect(other.body.data.id).not.toBe(first.body.data.id);
    expect(again.body).toEqual(first.body);
  });
});
