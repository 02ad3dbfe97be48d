import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { type DynamicModule, type INestApplication, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import express from 'express';
import request from 'supertest';
import { DatabaseModule, ProjectsModule, TechnologiesModule } from '../../src/index.js';
import { aProject } from '../support/builders.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { SkillsModule } from '../support/skills.js';

let database: TestDatabase;
beforeAll(async () => (database = await createTestDatabase()));
afterAll(() => database.drop());

type Imported = Type | DynamicModule;

async function createHost(imports: Imported[], adapter = new ExpressAdapter()) {
  const databases = [
    DatabaseModule.forRoot({ url: database.url }),
    DatabaseModule.forRoot({ url: database.url, name: 'other' }),
  ];
  @Module({ imports: [...databases, ...imports] })
  class HostModule {}
  return await NestFactory.create(HostModule, adapter, { logger: false, abortOnError: false });
}

async function withHost(
  prepare: (host: INestApplication) => void,
  work: (agent: ReturnType<typeof request.agent>) => Promise<void>,
): Promise<void> {
  const host = await createHost([ProjectsModule, TechnologiesModule]);
  prepare(host);
  await host.listen(0, '127.0.0.1');
  try {
    await work(request.agent(await host.getUrl()));
  } finally {
    await host.close();
  }
}

describe('a host that cannot serve the modules', () => {
  class FastifyLike extends ExpressAdapter {
    override getType(): string {
      return 'fastify';
    }
  }

  it.each([
    ['ProjectsModule', ProjectsModule],
    ['TechnologiesModule', TechnologiesModule],
    ['The module of skills', SkillsModule],
  ])('gets an error at the start that names Express: %s', async (name, module) => {
    const host = await createHost([module], new FastifyLike());
    await expect(host.init()).rejects.toThrow(
      `${name} needs Express, and this application runs on fastify. Create it with @nestjs/platform-express.`,
    );
    await host.close();
  });

  it.each<[string, Imported]>([
    ['another database', ProjectsModule.forDatabase('other')],
    ['other options', ProjectsModule.forRoot({ historyRetentionDays: 9 })],
  ])(
    'gets an error at the start when it has imported one twice, with %s',
    async (_name, second) => {
      const host = await createHost([ProjectsModule, second]);
      await expect(host.init()).rejects.toThrow(
        'ProjectsModule is imported 2 times with different options, and all would serve the same paths.',
      );
      await host.close();
    },
  );

  it('may import the same module in several places', async () => {
    @Module({ imports: [ProjectsModule] })
    class Feature {}
    const host = await createHost([ProjectsModule, Feature]);
    await host.init();
    await host.close();
  });
});

describe('a host that parses bodies itself', () => {
  const csv = 'name,description,technologies\r\nAda,,"[""C++""]"\r\n';

  it('may parse text/csv and NDJSON before the import, as text or as bytes', async () => {
    for (const parser of [express.text({ type: '*/*' }), express.raw({ type: '*/*' })]) {
      await withHost(
        (host) => host.use(parser),
        async (agent) => {
          const sent = agent.post('/projects/import').set('Content-Type', 'text/csv').send(csv);
          expect((await sent.expect(200)).body.data).toMatchObject({ created: 1, refused: 0 });
          const row = `${JSON.stringify(aProject())}\n`;
          const lines = agent.post('/projects/import').set('Content-Type', 'application/x-ndjson');
          expect((await lines.send(row).expect(200)).body.data).toMatchObject({ created: 1 });
        },
      );
    }
  });

  it('may parse JSON as bytes or as text', async () => {
    for (const parser of [express.raw({ type: '*/*' }), express.text({ type: '*/*' })]) {
      await withHost(
        (host) => host.use(parser),
        async (agent) => {
          await agent.post('/projects').send(aProject()).expect(201);
          const post = (text: string) => agent.post('/projects').type('json').send(text);
          expect((await post('{').expect(400)).body.code).toBe('invalid_json');
          expect((await post('[]').expect(400)).body.code).toBe('validation_failed');
        },
      );
    }
  });

  it('gets an error when its parser keeps nothing of a file', async () => {
    await withHost(
      (host) =>
        host.use((req: express.Request, _res: unknown, next: () => void) => {
          req.resume().on('end', next);
        }),
      async (agent) => {
        const sent = agent.post('/projects/import').set('Content-Type', 'text/csv').send(csv);
        const { body } = await sent.expect(415);
        expect(body.code).toBe('unsupported_media_type');
        expect(body.detail).toContain('A body parser of the application has read the body');
      },
    );
  });
});

describe('a host with a query parser of its own', () => {
  it.each([
    ['none', false],
    ['the extended one', 'extended'],
    ['one that invents', () => ({ limit: '7' })],
  ])('has the parameters of the URL read all the same: %s', async (_name, parser) => {
    await withHost(
      (host) =>
        (host.getHttpAdapter().getInstance() as express.Express).set('query parser', parser),
      async (agent) => {
        const row = JSON.stringify(aProject());
        const tried = agent.post('/projects/import?dryRun=true').type('application/x-ndjson');
        expect((await tried.send(row).expect(200)).body.data).toMatchObject({ created: 1 });
        const ids = Array.from({ length: 40 }, () => `id=${randomUUID()}`).join('&');
        const { body } = await agent.get(`/projects?${ids}`).expect(200);
        expect(body.data).toEqual([]);
        expect((await agent.get('/projects?limit=x').expect(400)).body.errors).toEqual([
          { path: 'limit', message: expect.stringContaining('whole number') },
        ]);
        expect((await agent.get('/projects?limit=1&q=none').expect(200)).body.meta.limit).toBe(1);
      },
    );
  });

  it('may put another query into the place of the one of the URL', async () => {
    await withHost(
      (host) =>
        host.use((req: express.Request, _res: unknown, next: () => void) => {
          Object.defineProperty(req, 'query', { value: { limit: '3' }, configurable: true });
          next();
        }),
      async (agent) => {
        expect((await agent.get('/projects?limit=1').expect(200)).body.meta.limit).toBe(3);
      },
    );
  });
});

describe('the headers of a host', () => {
  it('are kept: Vary is extended, and Cache-Control is unchanged', async () => {
    await withHost(
      (host) =>
        host.use((_req: unknown, res: express.Response, next: () => void) => {
          res.set({ Vary: 'Origin', 'Cache-Control': 'no-store' });
          next();
        }),
      async (agent) => {
        const file = await agent.get('/projects/export').expect(200);
        expect(file.headers).toMatchObject({ vary: 'Origin, Accept', 'cache-control': 'no-store' });
        const list = await agent.get('/projects').expect(200);
        expect(list.headers).toMatchObject({ vary: 'Origin', 'cache-control': 'no-store' });
        expect(list.headers['x-content-type-options']).toBe('nosniff');
      },
    );
  });

  it('add the prefix of a trusted proxy to Location, Link and instance', async () => {
    await withHost(
      (host) => (host.getHttpAdapter().getInstance() as express.Express).set('trust proxy', true),
      async (agent) => {
        const prefixed = { 'X-Forwarded-Prefix': '/shop/v1/' };
        await agent.post('/projects').send(aProject()).expect(201);
        const created = await agent.post('/projects').set(prefixed).send(aProject()).expect(201);
        const { id } = created.body.data;
        expect(created.headers.location).toBe(`/shop/v1/projects/${id}`);
        const { headers } = await agent.get('/projects?limit=1').set(prefixed).expect(200);
        expect(headers.link).toMatch(/^<\/shop\/v1\/projects\?limit=1&after=[^>]+>; rel="next"$/);
        const missing = await agent.get('/projects/7').set(prefixed).expect(400);
        expect(missing.body.instance).toBe('/shop/v1/projects/7');
        for (const wrong of ['//evil.example', 'https://evil.example', '/..', '/a b', '/<x>'])
          expect(
            (await agent.get('/projects/7').set('X-Forwarded-Prefix', wrong)).body.instance,
          ).toBe('/projects/7');
      },
    );
  });

  it('add no prefix of an untrusted proxy', async () => {
    await withHost(
      () => undefined,
      async (agent) => {
        const answer = await agent.get('/projects/7').set('X-Forwarded-Prefix', '/shop');
        expect(answer.body.instance).toBe('/projects/7');
      },
    );
  });
});
