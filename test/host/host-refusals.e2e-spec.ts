import 'reflect-metadata';
import {
  type CanActivate,
  type ExecutionContext,
  HttpException,
  type INestApplication,
  Module,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Request, Response } from 'express';
import request from 'supertest';
import { DatabaseModule, type ProblemBody, ProjectsModule } from '../../src/index.js';
import { PROBLEMS } from '../../src/http/problems/problem.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

/** The exceptions that the guard of the host throws, or the answers that it sends. */
let refuse: (res: Response) => unknown;

class HostGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    if (http.getRequest<Request>().headers['x-refuse'] === undefined) return true;
    const refusal = refuse(http.getResponse<Response>());
    if (refusal instanceof Error) throw refusal;
    return false;
  }
}

let database: TestDatabase;
let host: INestApplication;
beforeAll(async () => {
  database = await createTestDatabase();
  @Module({ imports: [DatabaseModule.forRoot({ url: database.url }), ProjectsModule] })
  class HostModule {}
  host = await NestFactory.create(HostModule, { logger: false });
  host.useGlobalGuards(new HostGuard());
  await host.listen(0, '127.0.0.1');
});
afterAll(async () => {
  await host.close();
  await database.drop();
});

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
const ID = '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10';
const ROUTES: [Method, string][] = [
  ['get', '/projects'],
  ['get', `/projects/${ID}`],
  ['get', '/projects/export'],
  ['post', '/projects'],
  ['post', '/projects/import'],
  ['put', `/projects/${ID}`],
  ['patch', `/projects/${ID}`],
  ['delete', `/projects/${ID}`],
];

function send(method: Method = 'get', path = '/projects') {
  return request(host.getHttpServer())[method](path).set('X-Refuse', 'yes').redirects(0);
}

/** The codes of the registered statuses, as the document publishes them. */
const CODES: Record<number, string> = {
  400: 'bad_request',
  401: 'unauthorized',
  402: 'payment_required',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  406: 'not_acceptable',
  407: 'proxy_authentication_required',
  408: 'request_timeout',
  409: 'conflict',
  410: 'gone',
  411: 'length_required',
  412: 'precondition_failed',
  413: 'payload_too_large',
  414: 'uri_too_long',
  415: 'unsupported_media_type',
  416: 'range_not_satisfiable',
  417: 'expectation_failed',
  418: 'im_a_teapot',
  421: 'misdirected_request',
  422: 'unprocessable_content',
  423: 'locked',
  424: 'failed_dependency',
  425: 'too_early',
  426: 'upgrade_required',
  428: 'precondition_required',
  429: 'too_many_requests',
  431: 'headers_too_large',
  451: 'unavailable_for_legal_reasons',
  500: 'internal_error',
  501: 'not_implemented',
  502: 'bad_gateway',
  503: 'service_unavailable',
  504: 'gateway_timeout',
  505: 'http_version_not_supported',
  506: 'variant_also_negotiates',
  507: 'insufficient_storage',
  508: 'loop_detected',
  510: 'not_extended',
  511: 'network_authentication_required',
};

describe("the exception of a host's guard", () => {
  it.each(ROUTES)('keeps every failure status with its code: %s %s', async (method, path) => {
    for (let status = 400; status < 600; status++) {
      refuse = () => new HttpException('a secret', status);
      const { body, headers, text, ...answer } = await send(method, path);
      const problem = body as ProblemBody;
      const code = CODES[status] ?? (status < 500 ? 'client_error' : 'server_error');
      expect([status, answer.status, problem.status, problem.code]).toEqual([
        status,
        status,
        status,
        code,
      ]);
      expect(headers['content-type']).toBe('application/problem+json');
      expect(problem.success).toBe(false);
      expect(problem.title).toBe(PROBLEMS[problem.code].title);
      expect(problem.detail).toBe(
        status === 500
          ? 'The service failed. Find the error in its log by the request id.'
          : `${problem.title}.`,
      );
      expect(text).not.toContain('secret');
    }
  });

  it('becomes 403 when the guard refuses without an exception', async () => {
    refuse = () => false;
    const { body } = await send().expect(403);
    expect(body).toMatchObject({ code: 'forbidden', detail: 'The caller may not do this.' });
  });

  it('keeps the headers that the guard has set', async () => {
    refuse = (res) => {
      res.set({ 'Retry-After': '120', 'WWW-Authenticate': 'Basic' });
      return new HttpException('Closed for the night', 503);
    };
    const { headers } = await send().expect(503);
    expect(headers).toMatchObject({ 'retry-after': '120', 'www-authenticate': 'Basic' });
  });

  it('may have a success status, and a guard may send the answer itself', async () => {
    refuse = (res) => {
      res.set('Location', '/login');
      return new HttpException('Log in', 302);
    };
    const thrown = await send().expect(302);
    expect([thrown.headers.location, thrown.body]).toEqual(['/login', 'Log in']);
    refuse = (res) => res.redirect('/login');
    const { headers, text } = await send().expect(302);
    expect([headers.location, text]).toEqual(['/login', 'Found. Redirecting to /login']);
  });

  it('becomes 500 without details if it is not an HttpException', async () => {
    refuse = () => new Error('select secret');
    const { body, text } = await send().expect(500);
    expect(body.code).toBe('internal_error');
    expect(text).not.toContain('secret');
  });
});
