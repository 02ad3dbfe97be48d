import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import type { OpenAPIObject } from '@nestjs/swagger';
import request from 'supertest';
import { PROBLEMS, type ProblemCode } from '../../src/http/problems/problem.js';
import { aProject } from '../support/builders.js';
import { END, exchange, exchangeOne, head, type RawAnswer } from '../support/raw-http.js';
import { startService, type TestService } from '../support/service.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ID = '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10';
const LIST = '/api/projects';
const ITEM = `/api/projects/${ID}`;

let service: TestService;
let api: ReturnType<typeof request>;
beforeAll(async () => {
  service = await startService({ BODY_LIMIT: '100kb' });
  api = request(service.url);
  await api.put(ITEM).send(aProject()).expect(201);
});
afterAll(() => service.close());

/** Every path of the service with its methods. */
const PATHS: [path: string, allow: string][] = [
  [LIST, 'GET, HEAD, OPTIONS, POST'],
  [ITEM, 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT'],
  ['/health/live', 'GET, HEAD, OPTIONS'],
  ['/health/ready', 'GET, HEAD, OPTIONS'],
  ['/health/startup', 'GET, HEAD, OPTIONS'],
  ['/docs/openapi.json', 'GET, HEAD, OPTIONS'],
  ['/docs/openapi.yaml', 'GET, HEAD, OPTIONS'],
];
const READS = PATHS.map(([path]) => path).filter((path) => !path.startsWith('/docs'));

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
const ROUTES: [Method, string][] = [
  ...READS.map((path): [Method, string] => ['get', path]),
  ['post', LIST],
  ['put', ITEM],
  ['patch', ITEM],
  ['delete', ITEM],
];
const WRITES = ROUTES.filter(([method]) => ['post', 'put', 'patch'].includes(method));

/** Returns the complete body of a problem. */
function problem(code: ProblemCode, detail: string, instance: string, errors?: unknown) {
  const { status, title } = PROBLEMS[code];
  return {
    success: false,
    type: `urn:problem-type:${code}`,
    title,
    status,
    detail,
    instance,
    code,
    ...(errors !== undefined && { errors }),
    requestId: expect.stringMatching(UUID),
  };
}

function notValid(instance: string, path: string, message: string) {
  const detail = 'The request is not valid; see errors.';
  return problem('validation_failed', detail, instance, [{ path, message }]);
}

function expectProblem(answer: request.Response | RawAnswer, body: ReturnType<typeof problem>) {
  const json = 'text' in answer ? answer.body : JSON.parse(answer.body);
  expect({ status: answer.status, body: json }).toEqual({ status: body.status, body });
  expect(answer.headers['content-type']).toBe('application/problem+json');
  expect(answer.headers['x-request-id']).toBe(json.requestId);
}

describe('an answer', () => {
  it.each(READS)(
    'of %s is the envelope, with an X-Request-Id and no header of the framework',
    async (path) => {
      const { body, headers } = await api.get(path).expect(200);
      const keys = path === LIST ? ['success', 'data', 'meta'] : ['success', 'data'];
      expect(Object.keys(body)).toEqual(keys);
      expect(body.success).toBe(true);
      expect(headers['x-request-id']).toMatch(UUID);
      expect(headers['x-powered-by']).toBeUndefined();
      if (path !== ITEM) expect(headers.etag).toBeUndefined();
    },
  );

  it.each(PATHS)('to HEAD of %s has the headers of GET and no body', async (path) => {
    const get = await api.get(path).expect(200);
    const answer = await exchangeOne(service.url, head(`HEAD ${path} HTTP/1.1`));
    expect(answer).toMatchObject({ status: 200, body: '' });
    const volatile = ['x-request-id', 'date', 'connection', 'keep-alive', 'content-encoding'];
    const kept = (headers: Record<string, string>) =>
      Object.fromEntries(Object.entries(headers).filter(([name]) => !volatile.includes(name)));
    expect(kept(answer.headers)).toEqual(kept(get.headers));
  });

  it('to HEAD of a failing route has the status and the headers of GET and no body', async () => {
    const answer = await exchangeOne(service.url, head('HEAD /api/nothing HTTP/1.1'));
    expect(answer).toMatchObject({
      status: 404,
      body: '',
      headers: { 'content-type': 'application/problem+json', 'x-request-id': expect.any(String) },
    });
  });
});

describe('X-Request-Id', () => {
  it.each(['a', 'Root=1-67891233-abcdef012345678912345678', 'x'.repeat(128), '../../etc/passwd'])(
    "is the caller's own value if that is valid: %s",
    async (id) => {
      const found = await api.get(ITEM).set('X-Request-Id', id).expect(200);
      expect(found.headers['x-request-id']).toBe(id);
      const missing = await api.get('/api/nothing').set('X-Request-Id', id).expect(404);
      expect(missing.headers['x-request-id']).toBe(id);
      expect(missing.body.requestId).toBe(id);
    },
  );

  it.each(['', ' ', 'x'.repeat(129), 'a b', 'a,b', '<script>', 'a;b', 'é', "'--", '"'])(
    'is generated when the caller\'s value is invalid: "%s"',
    async (id) => {
      const answer = await exchangeOne(
        service.url,
        head('GET /api/nothing HTTP/1.1', `X-Request-Id: ${id}`),
      );
      expectProblem(answer, problem('route_not_found', 'No route has this path.', '/api/nothing'));
    },
  );

  it('is generated when the caller sends two values', async () => {
    const answer = await exchangeOne(
      service.url,
      head('GET /api/nothing HTTP/1.1', 'X-Request-Id: a', 'X-Request-Id: b'),
    );
    expect(answer.headers['x-request-id']).toMatch(UUID);
  });

  it.each(['\r', '\0', '\x01', '\x7f\x00'])(
    'cannot contain a control character (%j)',
    async (char) => {
      const answer = await exchangeOne(
        service.url,
        head(`GET ${LIST} HTTP/1.1`, `X-Request-Id: a${char}Set-Cookie: forged=1`),
      );
      expect(answer.status).toBe(400);
      expect(JSON.stringify(answer)).not.toContain('forged');
    },
  );

  it('is the trace id of a traceparent, unless the caller sends an X-Request-Id', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
    const traced = await api.get(ITEM).set({ traceparent });
    expect(traced.headers['x-request-id']).toBe(traceId);
    const named = await api.get(ITEM).set({ traceparent, 'X-Request-Id': 'mine' });
    expect(named.headers['x-request-id']).toBe('mine');
  });

  it.each([
    '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01',
    '00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01',
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7',
    'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    'nonsense',
  ])('is generated when the traceparent is invalid: %s', async (traceparent) => {
    const { headers } = await api.get(ITEM).set({ traceparent });
    expect(headers['x-request-id']).toMatch(UUID);
  });
});

describe('an unknown part of a request', () => {
  it.each(ROUTES)('is refused by name if it is a query parameter: %s %s', async (method, path) => {
    for (const name of ['nonsense', 'limit[]', 'Limit', '__proto__', 'constructor', 'a.b']) {
      const sent = api[method](`${path}?${encodeURIComponent(name)}=1`);
      const answer = await (method === 'post' || method === 'put' || method === 'patch'
        ? sent.send(aProject())
        : sent);
      expect(answer.status).toBe(400);
      expect(answer.body.errors).toEqual([
        { path: name, message: expect.stringMatching(/no such/) },
      ]);
    }
  });

  it.each(ROUTES.filter(([method]) => method !== 'get'))(
    'is refused by name if it is a body field: %s %s',
    async (method, path) => {
      for (const name of ['nonsense', 'Name', '__proto__', 'constructor', 'toString', '']) {
        const body = `{${method === 'delete' ? '' : `"name":"n","description":"","technologies":[],`}${JSON.stringify(name)}:1}`;
        const answer = await api[method](path).type('application/json').send(body);
        expect({ name, status: answer.status }).toEqual({ name, status: 400 });
        expect(answer.body.errors).toEqual([
          { path: name, message: expect.stringMatching(/no such field/) },
        ]);
      }
    },
  );

  it('is refused in the body of a GET by the name of the first field, and an empty body is accepted', async () => {
    const get = (body: string) =>
      exchangeOne(
        service.url,
        head(
          `GET ${ITEM} HTTP/1.1`,
          'Content-Type: application/json',
          `Content-Length: ${body.length}`,
        ),
        body,
      );
    expectProblem(await get('{"a":1}'), notValid(ITEM, 'a', 'there is no such field'));
    expect((await get('{}')).status).toBe(200);
  });

  it('may be a duplicate parameter, which is refused', async () => {
    expectProblem(
      await api.get(`${LIST}?limit=1&limit=1`),
      notValid(LIST, 'limit', 'must be given only once'),
    );
  });

  it.each([
    '/',
    '/api',
    '/api/',
    '/api/nothing',
    '/API/projects',
    '/api/Projects',
    '/api/projects/',
    `${ITEM}/`,
    '//api/projects',
    '/api//projects',
    '/api/projects/../projects',
    '/api/projects;v=1',
    '/health',
    '/health/LIVE',
  ])('may be a path without a route: %s', async (path) => {
    const answer = await exchangeOne(service.url, head(`GET ${path} HTTP/1.1`));
    expectProblem(answer, problem('route_not_found', 'No route has this path.', path));
  });
});

/** Every path of the document with its documented methods. */
const DOCUMENTED: [path: string, allow: string][] = Object.entries(
  (JSON.parse(await readFile('docs/openapi.json', 'utf8')) as OpenAPIObject).paths,
).map(([path, operations]) => {
  const methods = Object.keys(operations).map((method) => method.toUpperCase());
  const allow = [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].sort();
  return [path.replace('{id}', ID), allow.join(', ')];
});

describe('a method', () => {
  const all = [...PATHS.filter(([path]) => path.startsWith('/docs')), ...DOCUMENTED];

  it('is tested on literal paths that a path parameter would also match', () => {
    expect(all.map(([path]) => path)).toEqual(
      expect.arrayContaining(['batch', 'import', 'export', 'changes'].map((p) => `${LIST}/${p}`)),
    );
  });

  it.each(all)(
    'that %s does not support gets 405 with the supported methods',
    async (path, allow) => {
      const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND'];
      for (const method of methods.filter((name) => !allow.split(', ').includes(name))) {
        const answer = await exchangeOne(service.url, head(`${method} ${path} HTTP/1.1`));
        expectProblem(answer, problem('method_not_allowed', `This path supports ${allow}.`, path));
        expect(answer.headers.allow).toBe(allow);
      }
      if (allow.includes('HEAD')) return;
      const answer = await exchangeOne(service.url, head(`HEAD ${path} HTTP/1.1`));
      expect(answer).toMatchObject({ status: 405, headers: { allow }, body: '' });
    },
  );

  it('that a path does not support is refused before the body and the headers are checked', async () => {
    const sent = await api.put(`${LIST}/export`).set('Accept', 'text/html').send(aProject());
    const detail = 'This path supports GET, HEAD, OPTIONS.';
    expectProblem(sent, problem('method_not_allowed', detail, `${LIST}/export`));
    await api.patch(`${LIST}/import`).type('text').send('{').expect(405);
    await api.patch(`${LIST}/import`).type('json').send('{').expect(405);
  });

  it.each(all)('OPTIONS of %s gets the supported methods', async (path, allow) => {
    const { headers, text } = await api.options(path).expect(204);
    expect({ allow: headers.allow, text }).toEqual({ allow, text: '' });
    expect(headers['x-request-id']).toMatch(UUID);
  });

  it('OPTIONS of an unknown path gets 404', async () => {
    await api.options('/api/nothing').expect(404);
  });
});

describe('Accept', () => {
  it.each([
    '*/*',
    'application/*',
    'application/json',
    'APPLICATION/JSON',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'text/html, application/xhtml+xml, */*;q=0.8',
    'application/problem+json, application/json;q=0.1',
    '',
  ])('may be %j on every route', async (accept) => {
    for (const path of READS) await api.get(path).set('Accept', accept).expect(200);
  });

  it.each([
    'text/html',
    'application/xml',
    'application/json;q=0',
    'application/json;v=2',
    'x',
    ',;=',
  ])('cannot be %j on any route', async (accept) => {
    for (const [method, path] of ROUTES) {
      const answer = await api[method](path).set('Accept', accept);
      expectProblem(
        answer,
        problem('not_acceptable', 'This route answers application/json.', path),
      );
    }
  });
});

describe('an Accept with parameters', () => {
  const accepting = async (path: string, accept: string) => {
    const { status, headers } = await api.get(path).set('Accept', accept);
    return [status, headers['content-type']?.split(';', 1)[0]];
  };
  const NDJSON = 'application/x-ndjson';
  const PROBLEM = 'application/problem+json';

  it.each([
    ['text/csv; charset=utf-8', 200, 'text/csv'],
    ['text/csv;charset="UTF-8"; header=present', 200, 'text/csv'],
    ['text/csv; charset=utf8', 200, 'text/csv'],
    ['text/csv; header=absent', 406, PROBLEM],
    ['text/csv; charset=utf-16', 406, PROBLEM],
    ['text/csv;q=0.9, application/x-ndjson;q=0.1', 200, 'text/csv'],
    ['text/csv; charset=utf-8;q=0.1, application/x-ndjson;q=0.9', 200, NDJSON],
    ['application/x-ndjson; charset=utf-8', 200, NDJSON],
    ['text/*;q=0.5', 200, 'text/csv'],
    ['text/csv;q=0, */*', 200, NDJSON],
    ['application/x-ndjson;q=0, */*;q=0.1', 200, 'text/csv'],
    ['application/json', 406, PROBLEM],
  ])('selects the file format: %s', async (accept, status, type) => {
    expect(await accepting(`${LIST}/export`, accept)).toEqual([status, type]);
  });

  it.each([
    ['application/json;charset=utf-8, text/event-stream;q=0.1', 200, 'application/json'],
    ['application/json;q=0.2, */*;q=0.1', 200, 'application/json'],
    ['application/json; charset=utf8', 200, 'application/json'],
    ['text/event-stream;q=0, */*', 200, 'application/json'],
    ['application/json;q=0, text/html', 406, PROBLEM],
  ])('selects the page of changes: %s', async (accept, status, type) => {
    expect(await accepting(`${LIST}/changes`, accept)).toEqual([status, type]);
  });

  it.each([
    'text/event-stream;charset=utf-8',
    'text/event-stream, application/json;q=0.9',
    'application/json;charset=utf-8;q=0.1, text/event-stream',
    'application/json;q=0, */*',
  ])('selects the stream of changes: %s', async (accept) => {
    const ending = new AbortController();
    const { signal } = ending;
    const url = `${service.url}${LIST}/changes?after=now`;
    const { headers } = await fetch(url, { headers: { accept }, signal });
    expect(headers.get('content-type')).toBe('text/event-stream');
    ending.abort();
  });
});

describe('every answer of the API', () => {
  it.each([
    ['GET', LIST, 200],
    ['GET', `${LIST}/export`, 200],
    ['GET', `${LIST}/42`, 400],
    ['GET', '/api/nothing', 404],
    ['POST', LIST, 415],
    ['PUT', `${LIST}/export`, 405],
    ['OPTIONS', LIST, 204],
    ['TRACE', LIST, 405],
  ])('has nosniff and Cache-Control: %s %s', async (method, path, status) => {
    const length = method === 'POST' ? ['Content-Length: 1'] : [];
    const request = head(`${method} ${path} HTTP/1.1`, ...length);
    const answer = await exchangeOne(service.url, request, length.length > 0 ? 'x' : '');
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-cache',
    });
  });

  it('has both headers also with 304 and when the request is not HTTP', async () => {
    const same = await api.get(ITEM).set('If-None-Match', '*').expect(304);
    expect(same.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-cache',
    });
    const broken = await exchangeOne(service.url, 'garbage\r\n\r\n');
    expect(broken.headers['x-content-type-options']).toBe('nosniff');
  });
});

describe('a whole URL as the target', () => {
  it('cannot change the host in Link and Location, and is equal to the request of its path', async () => {
    for (let i = 0; i < 2; i++) await api.post(LIST).send(aProject()).expect(201);
    const whole = 'http://evil.example/api/projects';
    const list = await exchangeOne(service.url, head(`GET ${whole}?limit=1 HTTP/1.1`));
    expect(list.headers.link).toMatch(/^<\/api\/projects\?limit=1&after=[^>]+>; rel="next"$/);
    const created = aProject();
    const body = JSON.stringify(created);
    const post = (target: string) =>
      exchangeOne(
        service.url,
        head(
          `POST ${target} HTTP/1.1`,
          'Content-Type: application/json',
          'Idempotency-Key: whole',
          `Content-Length: ${body.length}`,
        ),
        body,
      );
    const first = await post(whole);
    expect(first.headers.location).toMatch(/^\/api\/projects\/[0-9a-f-]{36}$/);
    const again = await post(LIST);
    expect([again.status, again.headers['idempotency-replayed']]).toEqual([201, 'true']);
  });
});

it('the error explains the escape of a plus when a technology ends with white space', async () => {
  const { body } = await api.get(`${LIST}?technology=C++`).expect(400);
  expect(body.errors).toEqual([
    {
      path: 'technology',
      message: 'each of them must have no white space at its ends (in a query, write + as %2B)',
    },
  ]);
  await api
    .post(LIST)
    .send(aProject({ technologies: ['C++', 'Plus'] }))
    .expect(201);
  const found = await api.get(`${LIST}?technology=C%2B%2B&technology=Plus`).expect(200);
  expect(found.body.data).toHaveLength(1);
});

describe('a body', () => {
  const json = JSON.stringify(aProject());

  it.each(WRITES)('%s %s accepts application/json in any spelling', async (method, path) => {
    for (const type of [
      'application/json',
      'Application/JSON; charset="UTF-8"',
      'application/json;x=y',
    ]) {
      const { status } = await api[method](path).set('Content-Type', type).send(json);
      expect(status).toBe(method === 'post' ? 201 : 200);
    }
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json-patch+json',
    'application/vnd.api+json',
    'application/json, text/plain',
    'json',
    '*/*',
  ])('of type %s is refused with the list of accepted types', async (type) => {
    for (const [method, path] of WRITES) {
      const answer = await api[method](path).set('Content-Type', type).send(json);
      const accept =
        method === 'patch' ? 'application/merge-patch+json, application/json' : 'application/json';
      expectProblem(answer, problem('unsupported_media_type', `This route reads ${accept}.`, path));
      expect(answer.headers.accept).toBe(accept);
      expect(answer.headers['accept-patch']).toBe(method === 'patch' ? accept : undefined);
    }
    const removed = await api.delete(ITEM).set('Content-Type', type).send(json);
    expectProblem(removed, problem('unsupported_media_type', 'This route reads no body.', ITEM));
  });

  it('without a type is refused, and POST and PUT refuse a merge patch', async () => {
    const bare = head(`POST ${LIST} HTTP/1.1`, `Content-Length: ${json.length}`);
    expect((await exchangeOne(service.url, bare, json)).status).toBe(415);
    await api.post(LIST).type('application/merge-patch+json').send(json).expect(415);
    await api.put(ITEM).type('application/merge-patch+json').send(json).expect(415);
  });

  it.each(['utf-16', 'utf-16le', 'utf-32', 'utf-7', 'iso-8859-1', 'nonsense'])(
    'in charset %s is refused',
    async (charset) => {
      const type = `application/json; charset=${charset}`;
      const { body } = await api.post(LIST).set('Content-Type', type).send(json).expect(415);
      expect(body.code).toBe('unsupported_media_type');
    },
  );

  it('may be compressed by gzip; an unknown encoding is refused with the known ones', async () => {
    const post = (encoding: string, bytes: Buffer) =>
      exchangeOne(
        service.url,
        head(
          `POST ${LIST} HTTP/1.1`,
          'Content-Type: application/json',
          `Content-Encoding: ${encoding}`,
          `Content-Length: ${bytes.length}`,
        ),
        bytes,
      );
    expect((await post('gzip', gzipSync(json))).status).toBe(201);
    const refused = await post('rot13', Buffer.from(json));
    expect(refused.status).toBe(415);
    expect(refused.headers['accept-encoding']).toBe('gzip, deflate, br');
    expectProblem(
      await post('gzip', Buffer.from(json)),
      problem('bad_request', 'The body is not compressed as Content-Encoding says.', LIST),
    );
    const bomb = gzipSync(Buffer.alloc(20_000_000, ' '));
    expect((await post('gzip', bomb)).status).toBe(413);
  });

  it.each([
    '{',
    '{"name":}',
    "{'name':1}",
    '{"a":1}}',
    'NaN',
    '{"a":01}',
    'undefined',
    '{"a":"\n"}',
  ])('that is not JSON is refused without repeating it: %j', async (text) => {
    for (const [method, path] of WRITES) {
      const answer = await api[method](path).type('application/json').send(text);
      expectProblem(answer, problem('invalid_json', 'The body is not valid JSON.', path));
    }
  });

  it.each(['null', '7', '"text"', 'true', '[]', '[{}]'])(
    'that is JSON but not an object is refused by name: %s',
    async (text) => {
      for (const [method, path] of WRITES) {
        const answer = await api[method](path).type('application/json').send(text);
        expectProblem(answer, notValid(path, '', 'the body must be a JSON object'));
      }
    },
  );

  it('that is not UTF-8 is refused and not stored with replacement characters', async () => {
    for (const bytes of ['\xff', '\xc3', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xc0\xaf']) {
      const body = Buffer.from(`{"name":"${bytes}","description":"","technologies":[]}`, 'latin1');
      const answer = await exchangeOne(
        service.url,
        head(
          `POST ${LIST} HTTP/1.1`,
          'Content-Type: application/json',
          `Content-Length: ${body.length}`,
        ),
        body,
      );
      expectProblem(answer, problem('invalid_encoding', 'The body is not valid UTF-8.', LIST));
    }
  });

  it('may be as large as the limit but not larger', async () => {
    const ofSize = (bytes: number) => json.padEnd(bytes, ' ');
    await api.post(LIST).type('application/json').send(ofSize(102_400)).expect(201);
    const tooLarge = problem(
      'payload_too_large',
      'The body is larger than the service accepts.',
      LIST,
    );
    expectProblem(await api.post(LIST).type('application/json').send(ofSize(102_401)), tooLarge);
    const chunked = await exchangeOne(
      service.url,
      head(`POST ${LIST} HTTP/1.1`, 'Content-Type: application/json', 'Transfer-Encoding: chunked'),
      `19001\r\n${ofSize(0x19001)}\r\n0\r\n\r\n`,
    );
    expectProblem(chunked, tooLarge);
  });

  it('with a too large Content-Length is refused before it arrives', async () => {
    const answer = await exchangeOne(
      service.url,
      head(
        `POST ${LIST} HTTP/1.1`,
        'Content-Type: application/json',
        'Content-Length: 99999999999',
      ),
    );
    expect(answer.status).toBe(413);
  });
});

describe('percent-encoding', () => {
  it.each(['%', '%zz', '%4', '%ff', '%c3%28', '%ed%a0%80', 'a%'])(
    'is refused when it is invalid: %s',
    async (bad) => {
      const inQuery = problem(
        'invalid_encoding',
        'The query contains a percent sign that is not followed by two hexadecimal digits of UTF-8.',
        ITEM,
      );
      expectProblem(await exchangeOne(service.url, head(`GET ${ITEM}?x=${bad} HTTP/1.1`)), inQuery);
      expectProblem(await exchangeOne(service.url, head(`GET ${ITEM}?${bad} HTTP/1.1`)), inQuery);
      for (const path of [`/api/projects/${bad}`, `/api/${bad}`, `/${bad}/x`, `/docs/${bad}`]) {
        for (const method of ['GET', 'DELETE', 'OPTIONS']) {
          const answer = await exchangeOne(service.url, head(`${method} ${path} HTTP/1.1`));
          const detail =
            'The path contains a percent sign that is not followed by two hexadecimal digits of UTF-8.';
          const instance = path.replace(/%(?![0-9a-f]{2})/, '%25');
          expectProblem(answer, problem('invalid_encoding', detail, instance));
        }
      }
    },
  );

  it('is added to the path in a problem, which is then a valid URI', async () => {
    const answer = await exchangeOne(service.url, head(`GET ${LIST}/<{"x|y^%20}> HTTP/1.1`));
    const instance = `${LIST}/%3C%7B%22x%7Cy%5E%20%7D%3E`;
    expectProblem(answer, problem('invalid_id', 'The id in the path must be a UUID.', instance));
  });

  it('of letters that do not need it gives the same path', async () => {
    await api.get(`/api/projects/%30${ID.slice(1)}`).expect(200);
  });
});

describe('a request that is not HTTP', () => {
  const notHttp = problem(
    'bad_request',
    'The request is not HTTP/1.1, or its method is unknown.',
    '/',
  );

  it.each([
    'garbage\r\n\r\n',
    '\0\0\0\0',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    `GET ${LIST} HTTP/3.7\r\nHost: a\r\n\r\n`,
    head(`FROBNICATE ${LIST} HTTP/1.1`),
    head(`get ${LIST} HTTP/1.1`),
    head(`GET ${LIST}/\xff HTTP/1.1`),
    head(`GET ${LIST}/a b HTTP/1.1`),
    head(`GET ${LIST} HTTP/1.1`, 'X: a\0b'),
    head(`GET ${LIST} HTTP/1.1`, 'Name with space: x'),
    head(`POST ${LIST} HTTP/1.1`, 'Content-Length: 1', 'Content-Length: 2'),
    head(`POST ${LIST} HTTP/1.1`, 'Content-Length: -1'),
    head(`POST ${LIST} HTTP/1.1`, 'Content-Length: 5', 'Transfer-Encoding: chunked'),
  ])('gets a problem (%#)', async (bytes) => {
    const answer = await exchangeOne(service.url, bytes);
    expectProblem(answer, notHttp);
    expect(answer.headers).toMatchObject({ connection: 'close', date: expect.any(String) });
  });

  it('does not replace the answer to the valid request before it', async () => {
    const body = JSON.stringify(aProject());
    const post = `POST ${LIST} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const answers = await exchange(service.url, `${post}${post}garbage\r\n\r\n`);
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 400]);
    expectProblem(answers[2]!, notHttp);
  });

  it.each([
    [['Content-Length: 9'], '{'],
    [['Transfer-Encoding: chunked'], '1\r\n{\r\n'],
    [['Transfer-Encoding: chunked'], 'zz\r\n'],
  ])(
    'only in its body gets a problem with its path and its request id (%#)',
    async (headers, body) => {
      const type = 'Content-Type: application/json';
      const begin = head(`POST ${LIST} HTTP/1.1`, type, 'X-Request-Id: half', ...headers);
      const answer = await exchangeOne(service.url, `${begin}${body}`, END);
      const detail = 'The body ended before it was complete, or its chunks are malformed.';
      expectProblem(answer, { ...problem('bad_request', detail, LIST), requestId: 'half' });
    },
  );

  it('gets its answer while the client is still sending', async () => {
    const more = Array.from({ length: 20 }, () => Buffer.alloc(50_000, 'x'));
    expectProblem(await exchangeOne(service.url, 'garbage\r\n\r\n', ...more), notHttp);
  });

  it.each(['', 'Host: a\r\nHost: a\r\n', 'Host: a\r\nhost: b\r\n'])(
    'includes an HTTP/1.1 request without exactly one Host: %j',
    async (hosts) => {
      const answer = await exchangeOne(service.url, `GET ${LIST}?limit=1 HTTP/1.1\r\n${hosts}\r\n`);
      expectProblem(
        answer,
        problem('bad_request', 'The request must have exactly one Host header.', LIST),
      );
    },
  );

  it('includes a body with a coding before the chunks, which would not be decoded', async () => {
    const ask = (coding: string) =>
      exchangeOne(
        service.url,
        `${head(`POST ${LIST} HTTP/1.1`, 'Content-Type: text/plain', `Transfer-Encoding: ${coding}`)}0\r\n\r\n`,
      );
    expectProblem(
      await ask('gzip, chunked'),
      problem('bad_request', 'The service accepts no Transfer-Encoding but chunked.', LIST),
    );
    expect((await ask('Chunked')).status).toBe(415);
  });

  it('does not include an HTTP/1.0 request without Host', async () => {
    const answer = await exchangeOne(service.url, 'GET /health/live HTTP/1.0\r\n\r\n');
    expect(answer.status).toBe(200);
  });

  it('may be an invalid URL as the target, while a valid one is taken by its path', async () => {
    const whole = await exchangeOne(
      service.url,
      head('GET http://example.org/api/nothing?x HTTP/1.1'),
    );
    expectProblem(whole, problem('route_not_found', 'No route has this path.', '/api/nothing'));
    const broken = await exchangeOne(service.url, head('GET http://[ HTTP/1.1'));
    expectProblem(broken, problem('bad_request', 'The request target has no path.', '/'));
  });

  it('CONNECT is refused with an answer', async () => {
    const answer = await exchangeOne(service.url, head('CONNECT example.org:443 HTTP/1.1'));
    expectProblem(answer, problem('bad_request', 'The service is not a proxy.', '/'));
  });

  it.each([`X: ${'y'.repeat(17_000)}`, `Cookie: ${'a=b; '.repeat(4000)}`])(
    'headers that are too large get 431 (%#)',
    async (header) => {
      const answer = await exchangeOne(service.url, head(`GET ${LIST} HTTP/1.1`, header));
      const detail = 'The request line and the headers are larger than the service accepts.';
      expectProblem(answer, problem('headers_too_large', detail, '/'));
    },
  );

  it('a condition after more headers than Node keeps is not ignored, and the request gets 431', async () => {
    const created = await request(service.url).post(LIST).send(aProject()).expect(201);
    const path = `${LIST}/${created.body.data.id}`;
    const fillers = Array.from({ length: 1000 }, () => 'a: ');
    const stale = head(`DELETE ${path} HTTP/1.1`, ...fillers, 'If-Match: "7"');
    // Newer versions of Node refuse so many headers themselves.
    const answer = await exchangeOne(service.url, stale);
    expect(answer.status).toBe(431);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'headers_too_large' });
    await request(service.url).get(path).expect(200);
    const fewer = head(`GET ${path} HTTP/1.1`, ...fillers.slice(5));
    expect((await exchangeOne(service.url, fewer)).status).toBe(200);
  });

  it('a path that is too long gets 431', async () => {
    const answer = await exchangeOne(service.url, head(`GET /${'y'.repeat(17_000)} HTTP/1.1`));
    expect(answer.status).toBe(431);
  });
});

describe('Expect', () => {
  it('may be 100-continue', async () => {
    const body = JSON.stringify(aProject());
    const answers = await exchange(
      service.url,
      head(
        `POST ${LIST} HTTP/1.1`,
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        'Expect: 100-continue',
      ),
      body,
    );
    expect(answers.map(({ status }) => status)).toEqual([100, 201]);
  });

  it('gets 417 with any other value', async () => {
    const id = randomUUID();
    const answer = await exchangeOne(
      service.url,
      head(`GET ${LIST}?limit=1 HTTP/1.1`, 'Expect: miracles', `X-Request-Id: ${id}`),
    );
    const detail = 'The service supports only the expectation 100-continue.';
    expectProblem(answer, problem('expectation_failed', detail, LIST));
    expect(answer.headers['x-request-id']).toBe(id);
  });
});

describe('every problem', () => {
  it('has a code in lower_snake_case, a title and a client or server status', () => {
    for (const [code, { status, title }] of Object.entries(PROBLEMS)) {
      expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(title).not.toBe('');
      expect(status >= 400 && status < 600).toBe(true);
    }
  });
});

describe('an empty chunked body', () => {
  const chunked = (method: string, path: string, ...headers: string[]) =>
    head(`${method} ${path} HTTP/1.1`, 'Transfer-Encoding: chunked', ...headers);

  it('counts as no body on a route that reads none', async () => {
    const { body } = await api.post(LIST).send(aProject()).expect(201);
    const path = `${LIST}/${body.data.id}`;
    expect((await exchangeOne(service.url, chunked('GET', path), '0\r\n\r\n')).status).toBe(200);
    const removed = await exchangeOne(service.url, chunked('DELETE', path), '0\r\n\r\n');
    expect(removed.status).toBe(200);
  });

  it('is refused as soon as it contains a byte', async () => {
    const answer = await exchangeOne(service.url, chunked('DELETE', ITEM), '1\r\nx\r\n');
    expectProblem(answer, problem('unsupported_media_type', 'This route reads no body.', ITEM));
  });
});

describe('the charset utf8', () => {
  it.each(['utf8', 'UTF8', '"utf8"'])('means UTF-8 in a Content-Type: %s', async (charset) => {
    const type = `application/json; charset=${charset}`;
    const sent = api.post(LIST).set('Content-Type', type).send(JSON.stringify(aProject()));
    expect((await sent).status).toBe(201);
    const patch = api.patch(ITEM).set('Content-Type', `application/merge-patch+json;charset=utf8`);
    expect((await patch.send('{"description":"ü"}').expect(200)).body.data.description).toBe('ü');
  });
});
