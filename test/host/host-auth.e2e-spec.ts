import 'reflect-metadata';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  type INestApplication,
  Module,
  type ModuleMetadata,
  UnauthorizedException,
} from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import type { Request } from 'express';
import request from 'supertest';
import {
  AuthModule,
  type Caller,
  DatabaseModule,
  NotRecognised,
  ProjectsModule,
  Public,
  type Scope,
} from '../../src/index.js';
import { aProject } from '../support/builders.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

@Controller('reports')
class ReportsController {
  @Get()
  secret() {
    return { secret: true };
  }

  @Public()
  @Get('notice')
  notice() {
    return { public: true };
  }
}

async function startHost(metadata: ModuleMetadata): Promise<INestApplication> {
  const imports = [
    ...(metadata.imports ?? []),
    DatabaseModule.forRoot({ url: database.url }),
    ProjectsModule,
  ];
  @Module({ ...metadata, imports, controllers: [ReportsController] })
  class HostModule {}
  const app = await NestFactory.create(HostModule, { logger: false, bodyParser: false });
  await app.listen(0, '127.0.0.1');
  return app;
}

const scopes = (...names: Scope[]) => new Set(names);

/** The sessions of the host: a token may stand for anything. */
class Sessions {
  callers: Record<string, Caller> = {
    'session-1': { sub: 'ada', scopes: scopes('read', 'write') },
    'session-2': { sub: 'bob', scopes: scopes('read') },
  };

  find(token: string): Promise<Caller | undefined> {
    if (token === 'session-down') return Promise.reject(new Error('the store is away'));
    if (token === 'session-old') return Promise.reject(new NotRecognised('it has ended'));
    return Promise.resolve(this.callers[token]);
  }
}

@Module({ providers: [Sessions], exports: [Sessions] })
class SessionsModule {}

describe('a host that imports AuthModule with its own authentication function', () => {
  let host: INestApplication;
  let closed = 0;
  beforeAll(async () => {
    const auth = AuthModule.forRootAsync({
      imports: [SessionsModule],
      inject: [Sessions],
      useFactory: (sessions: Sessions) => ({
        realm: 'company',
        recognise: (token: string) => sessions.find(token),
        close: () => void closed++,
      }),
    });
    host = await startHost({ imports: [auth] });
  });
  afterAll(async () => {
    await host.close();
    expect(closed).toBe(1);
  });

  const api = () => request(host.getHttpServer());
  const as = (token: string) => ({ Authorization: `Bearer ${token}` });

  it.each(['/projects', '/reports', '/projects/changes', '/projects/export'])(
    'refuses callers without credentials at %s, also on its own routes',
    async (path) => {
      const answer = await api().get(path).expect(401);
      expect(answer.headers['www-authenticate']).toBe('Bearer realm="company"');
      const unknown = await api().get(path).set(as('session-9')).expect(401);
      expect(unknown.headers['www-authenticate']).toBe(
        'Bearer realm="company", error="invalid_token"',
      );
      await api().get(path).set(as('session-old')).expect(401);
    },
  );

  it('accepts everybody on its public routes', async () => {
    await api().get('/reports/notice').expect(200, { public: true });
  });

  it('lets callers do what their scopes allow, and records them in the history', async () => {
    const created = await api().post('/projects').set(as('session-1')).send(aProject()).expect(201);
    const { id } = created.body.data;
    const refused = await api().delete(`/projects/${id}`).set(as('session-2')).expect(403);
    expect(refused.body).toMatchObject({ code: 'insufficient_scope' });
    expect(refused.headers['www-authenticate']).toContain('scope="company:write"');
    const history = await api().get(`/projects/${id}/history`).set(as('session-2')).expect(200);
    expect(history.body.data).toMatchObject([{ action: 'created', actor: 'ada' }]);
    await api().get('/reports').set(as('session-2')).expect(200, { secret: true });
  });

  it('answers 503 and not 401 while its authentication function cannot decide', async () => {
    const answer = await api().get('/projects').set(as('session-down')).expect(503);
    expect(answer.body).toMatchObject({ code: 'authentication_unavailable' });
    expect(answer.text).not.toContain('the store is away');
    // A route of the host uses Nest's filter, or that of the host.
    expect((await api().get('/reports').set(as('session-down'))).status).toBe(503);
  });

  it('does not read the body of a caller without credentials, unless Nest’s parser reads it first', async () => {
    await api()
      .post('/projects')
      .set('Content-Type', 'application/json')
      .send('{"name":')
      .expect(401);
  });
});

describe('a host that omits AuthModule and has its own guard', () => {
  /** Cookies, certificates or the library of an identity provider are decisions of the host. */
  class BadgeGuard implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      const req = context.switchToHttp().getRequest<Request & { user?: unknown }>();
      const badge = req.headers.badge;
      if (typeof badge !== 'string') throw new UnauthorizedException('Show your badge.');
      if (badge === 'nobody') return false;
      req.user = { id: Number(badge), name: 'Ada' };
      return true;
    }
  }

  let host: INestApplication;
  beforeAll(async () => {
    host = await startHost({ providers: [{ provide: APP_GUARD, useClass: BadgeGuard }] });
  });
  afterAll(() => host.close());
  const api = () => request(host.getHttpServer());

  it('refuses requests by its guard, as problems', async () => {
    const stranger = await api().get('/projects').expect(401);
    expect(stranger.body).toMatchObject({ success: false, code: 'unauthorized' });
    expect(stranger.headers['www-authenticate']).toBeUndefined();
    const refused = await api().get('/projects').set('Badge', 'nobody').expect(403);
    expect(refused.body).toMatchObject({ code: 'forbidden' });
    await api().get('/projects').set('Authorization', 'Bearer session-1').expect(401);
  });

  it('records the callers of its guard in the history, and separates their idempotency keys', async () => {
    const create = (badge: string) =>
      api()
        .post('/projects')
        .set({ Badge: badge, 'Idempotency-Key': 'the-same' })
        .send(aProject({ name: 'Of two badges' }))
        .expect(201);
    const [seven, eight, again] = [await create('7'), await create('8'), await create('7')];
    expect(again.body).toEqual(seven.body);
    expect(eight.body.data.id).not.toBe(seven.body.data.id);
    const path = `/projects/${eight.body.data.id}/history`;
    const history = await api().get(path).set('Badge', '8').expect(200);
    expect(history.body.data).toMatchObject([{ action: 'created', actor: '8' }]);
  });
});
