import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import request from 'supertest';
import { createApplication } from '../src/application.js';
import { validateEnvironment } from '../src/config/environment.js';
import { atEnd, connectPlainly, endEachTest, until } from './support/connections.js';
import { createTestDatabase } from './support/database.js';
import { killServices, startProcess } from './support/process.js';
import { startProxy } from './support/proxy.js';

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

it('a service whose connections are all in use is ready', async () => {
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

it('stays ready when the server has no connection left for the check', async () => {
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

it('a database that does not answer is noticed within three seconds, and so is its return', async () => {
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

it("the image's health check succeeds while the service lives and is not ready", async () => {
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
  it('has times in ISO 8601, and no line for each probe', async () => {
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
