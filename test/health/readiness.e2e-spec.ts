import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { jest } from '@jest/globals';
import request from 'supertest';
import { createApplication } from '../../src/application.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import { migrate } from '../../src/db/migrate.js';
import { atEnd, connectPlainly, endEachTest, sleep, until } from '../support/connections.js';
import { createTestDatabase } from '../support/database.js';
import { killServices, startProcess } from '../support/process.js';
import { type Pgbouncer, startPgbouncer } from '../support/pgbouncer.js';
import { withProgram } from '../support/needs.js';
import { createCertificate } from '../support/certificate.js';
import { startProxy } from '../support/proxy.js';

endEachTest();
afterAll(killServices);

async function start(variables: Record<string, string>) {
  const app = await createApplication(
    validateEnvironment({ LOG_LEVEL: 'fatal', MIGRATIONS: 'verify', ...variables }),
  );
  atEnd(() => app.close());
  await app.listen(0, '127.0.0.1');
  return request(await app.getUrl());
}

async function migratedDatabase(): Promise<string> {
  const database = await createTestDatabase();
  atEnd(() => database.drop());
  return database.url;
}

it('a service is ready when all of its connections are in use', async () => {
  const url = await migratedDatabase();
  const api = await start({ DATABASE_URL: url, DATABASE_MAX_CONNECTIONS: '2' });
  await connectPlainly(url).unsafe('begin; lock table projects');
  const requests = Array.from({ length: 12 }, () =>
    api.get('/api/projects').then(({ status }) => status),
  );
  const client = connectPlainly(url);
  await until(async () => {
    const waiting = await client`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    return waiting.length === 2;
  });
  for (let i = 0; i < 3; i++) await api.get('/health/ready').timeout(1500).expect(200);
  expect(await Promise.all(requests)).toEqual(Array<number>(12).fill(503));
});

it('a service stays ready when the server has no free connection for the check', async () => {
  const url = await migratedDatabase();
  const admin = connectPlainly(url);
  const role = `limited_${process.pid}`;
  await admin.unsafe(
    `create role ${role} login password 'x'; grant select on all tables in schema public to ${role}`,
  );
  atEnd(() =>
    connectPlainly(process.env.TEST_DATABASE_URL!).unsafe(
      `drop owned by ${role}; drop role ${role}`,
    ),
  );
  atEnd(() => admin.unsafe(`drop owned by ${role}`));
  const limited = new URL(url);
  limited.username = role;
  limited.password = 'x';
  const api = await start({ DATABASE_URL: limited.href });
  await api.get('/health/ready').expect(200);
  await api.get('/api/projects').expect(200);
  await admin.unsafe(`alter role ${role} connection limit 1`);
  const ended = await admin`
    select pg_terminate_backend(pid) from pg_stat_activity
    where usename = ${role} and application_name = 'projects-service health'`;
  expect(ended).toHaveLength(1);
  await api.get('/health/ready').expect(200);
  await api.get('/api/projects').expect(200);
});

it('readiness follows within three seconds when the database stops and starts answering', async () => {
  const proxy = await startProxy(await migratedDatabase());
  atEnd(() => proxy.close());
  const api = await start({ DATABASE_URL: proxy.url });
  await api.get('/health/ready').expect(200);
  proxy.freeze();
  for (let i = 0; i < 2; i++) {
    const { body } = await api.get('/health/ready').timeout(3500).expect(503);
    expect(body.errors).toEqual([
      { path: 'database', message: expect.stringMatching(/did not answer within \d+ ms/) },
    ]);
  }
  proxy.thaw();
  await until(async () => (await api.get('/health/ready')).status === 200);
});

it('an instance stays ready when a newer version has migrated the database, but does not migrate it itself', async () => {
  const url = await migratedDatabase();
  const api = await start({ DATABASE_URL: url });
  await connectPlainly(url)`
    insert into projects_service_migrations (hash, created_at) values ('newer', ${Date.now()})`;
  await api.get('/health/ready').expect(200);
  await expect(migrate({ url })).rejects.toThrow(/newer: stamped .*a newer version has migrated/);
  await connectPlainly(
    url,
  )`update projects_service_migrations set created_at = 1 where hash = 'newer'`;
  const { body } = await api.get('/health/ready').expect(503);
  expect(body.errors).toEqual([
    { path: 'migrations', message: expect.stringMatching(/^missing: stamped 1970-/) },
  ]);
});

describe('behind a pooler', () => {
  const pooler = withProgram('pgbouncer');
  const openssl = withProgram('openssl');
  const NO_ANSWER = { path: 'database', message: expect.stringMatching(/did not answer within/) };

  /** Starts a service behind a pooler with one connection to the server. */
  async function startBehindPooler(
    urlOf: (pgbouncer: Pgbouncer, databaseUrl: string) => string,
    tls?: { key: string; certificate: string },
  ) {
    const databaseUrl = await migratedDatabase();
    const server = await startProxy(process.env.TEST_DATABASE_URL!);
    atEnd(() => server.close());
    const options = { connections: 1, serverUrl: server.url, tls };
    const pgbouncer = await startPgbouncer(pooler.file, options);
    atEnd(() => pgbouncer.stop());
    const url = urlOf(pgbouncer, databaseUrl);
    const api = await start({ DATABASE_URL: url, DATABASE_PREPARE: 'false' });
    const ready = async () => await api.get('/health/ready').timeout(4000);
    await until(async () => (await ready()).status === 200);
    const other = connectPlainly(pgbouncer.through(databaseUrl), { prepare: false });
    return { pgbouncer, server, ready, other };
  }

  /** Every answer is 200 for longer than the check waits for the database. */
  async function expectReadyForLong(ready: () => Promise<request.Response>) {
    const began = performance.now();
    while (performance.now() - began < 6000) {
      expect((await ready()).body.errors).toBeUndefined();
      await sleep(20);
    }
  }

  async function expectReadyWhileItIsBusy({
    pgbouncer,
    ready,
    other,
  }: Awaited<ReturnType<typeof startBehindPooler>>) {
    await other`begin`;
    await expectReadyForLong(ready);
    pgbouncer.freeze();
    expect((await ready()).body.errors).toEqual([NO_ANSWER]);
    pgbouncer.thaw();
    await other`rollback`;
    await until(async () => (await ready()).status === 200, 20_000);
  }

  (openssl.file ? pooler : openssl).it(
    'a service is ready while the pooler is busy, and not when the pooler is frozen: over TCP, a Unix socket and TLS',
    async () => {
      const tls = await createCertificate(openssl.file);
      const services = [
        await startBehindPooler((pgbouncer, url) => pgbouncer.through(url)),
        await startBehindPooler((pgbouncer, url) => pgbouncer.throughSocket(url)),
        await startBehindPooler(
          (pgbouncer, url) => `${pgbouncer.through(url)}?sslmode=require`,
          tls,
        ),
      ];
      await Promise.all(services.map(expectReadyWhileItIsBusy));
    },
    90_000,
  );

  pooler.it(
    'a service is not ready when the pooler cannot reach the server, or has been busy for a minute',
    async () => {
      const { server, ready, other } = await startBehindPooler((pgbouncer, url) =>
        pgbouncer.through(url),
      );
      await other`begin`;
      await expectReadyForLong(ready);
      const now = performance.now.bind(performance);
      const clock = jest.spyOn(performance, 'now').mockImplementation(() => now() + 60_000);
      expect((await ready()).body.errors).toEqual([NO_ANSWER]);
      clock.mockRestore();
      await other`rollback`;
      await until(async () => (await ready()).status === 200, 20_000);

      server.refuse();
      await until(async () => (await ready()).status === 503, 20_000);
      for (let i = 0; i < 3; i++) expect((await ready()).status).toBe(503);
      await server.accept();
      await until(async () => (await ready()).status === 200, 30_000);
    },
    90_000,
  );
});

it("the image's health check succeeds while the service runs and is not ready", async () => {
  const dockerfile = await readFile('Dockerfile', 'utf8');
  const [, command] = /HEALTHCHECK[^[]*(\[.*\])/.exec(dockerfile)!;
  const [, ...words] = JSON.parse(command!) as string[];
  const check = async (url: string) => {
    const child = spawn(process.execPath, words, { env: { PORT: new URL(url).port } });
    const [code] = (await once(child, 'close')) as [number];
    return code;
  };
  const service = await startProcess({ DATABASE_URL: 'postgres://127.0.0.1:1/none' });
  const url = await service.url;
  await request(url).get('/health/ready').expect(503);
  expect(await check(url)).toBe(0);
  service.send('SIGKILL');
  await service.ended;
  expect(await check(url)).toBe(1);
});

describe('the log', () => {
  it('has times in ISO 8601, and no line for each health check', async () => {
    const service = await startProcess({
      DATABASE_URL: 'postgres://127.0.0.1:1/none',
      LOG_FORMAT: 'json',
    });
    const url = await service.url;
    for (let i = 0; i < 3; i++) await request(url).get('/health/ready').expect(503);
    await request(url).get('/api/projects').expect(503);
    service.send('SIGTERM');
    await service.ended;
    const lines = `${service.output()}${service.errors()}`
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as { timestamp: unknown; message: unknown; context: string });
    const requests = lines.map(({ message }) => (message as { route?: string }).route);
    expect(requests.filter(Boolean)).toEqual(['/api/projects']);
    for (const { timestamp } of lines) {
      expect(timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
    expect(JSON.stringify(lines)).not.toContain('not_ready');
    expect(lines.filter(({ context }) => context === 'Database')).toEqual([]);
    const waiting = lines.filter(({ context }) => context === 'Migrations');
    expect(waiting.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^waiting for the database: .*ECONNREFUSED.*Check host and port/),
    ]);
    const failed = lines
      .map(({ message }) => message as { code?: string })
      .filter(({ code }) => code);
    expect(failed).toHaveLength(1);
    expect(failed[0]).toMatchObject({
      code: 'database_unavailable',
      cause: 'ECONNREFUSED',
      remedy: expect.stringContaining('Check host and port'),
    });
  });
});
