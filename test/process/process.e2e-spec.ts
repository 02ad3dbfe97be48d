import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { ClientTCP } from '@nestjs/microservices';
import postgres from 'postgres';
import { firstValueFrom } from 'rxjs';
import request from 'supertest';
import { migrate } from '../../src/db/migrate.js';
import { aProject } from '../support/builders.js';
import { sleep, until } from '../support/connections.js';
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../support/database.js';
import {
  createFolder,
  killServices,
  type ServiceProcess,
  startProcess,
} from '../support/process.js';
import { startProxy } from '../support/proxy.js';

let database: TestDatabase;
beforeAll(async () => (database = await createTestDatabase()));
afterAll(async () => {
  await killServices();
  await database.drop();
});

const onDatabase = (variables: Record<string, string> = {}) =>
  startProcess({ DATABASE_URL: database.url, ...variables });

describe('the service at its start', () => {
  it('logs its URL and the port of its metrics, with free ports for 0, and writes no error', async () => {
    const [one, other] = await Promise.all([onDatabase({ METRICS_PORT: '0' }), onDatabase()]);
    const urls = await Promise.all([one.url, other.url]);
    expect(new Set(urls).size).toBe(2);
    for (const url of urls) {
      expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d+$/);
      await request(url).get('/api/projects').expect(200);
      await request(url).get('/docs').expect(200);
    }
    const [, port] = /metrics is served on port (\d+)/.exec(one.output())!;
    const { text } = await request(`http://127.0.0.1:${port}`).get('/metrics').expect(200);
    expect(text).toContain('db_pool_sessions');
    expect(await stopped(one)).toBe(0);
    expect(await stopped(other)).toBe(0);
    expect(one.errors() + other.errors()).toBe('');
  });

  it('answers messages over TCP from the build', async () => {
    const port = await freePort();
    const mesh = { MESH_TRANSPORT: 'tcp', MESH_URL: `tcp://127.0.0.1:${port}` };
    const service = await onDatabase(mesh);
    await service.url;
    const client = new ClientTCP({ host: '127.0.0.1', port });
    const listed = await firstValueFrom(client.send('projects.list', { query: { limit: '1' } }));
    expect(listed).toMatchObject({ status: 200, meta: { limit: 1 } });
    const refused = firstValueFrom(client.send('projects.create', { body: { name: '' } }));
    await expect(refused).rejects.toMatchObject({ status: 400, code: 'validation_failed' });
    client.close();
    expect(await stopped(service)).toBe(0);
    expect(service.errors()).toBe('');
  });

  it('reports a port in use with the remedy, and leaves no PostgreSQL running', async () => {
    const folder = await createFolder();
    const holder = net.createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as net.AddressInfo;
    const service = await startProcess({ PORT: String(port) }, folder);
    expect(await service.ended).toBe(1);
    expect(service.errors().trim().split('\n').at(-1)).toBe(
      `Cannot listen on 127.0.0.1:${port}: the port is in use. Set PORT to another one, or to 0 for any free port.`,
    );
    expect(existsSync(path.join(folder, '.data/postgres/data/PG_VERSION'))).toBe(true);
    expect(existsSync(postmasterPid(folder))).toBe(false);
    holder.close();
  });

  it('names the setting of an address that cannot be used, also for metrics and messages', async () => {
    const holder = net.createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as net.AddressInfo;
    const lastLine = async (variables: Record<string, string>) => {
      const service = await onDatabase(variables);
      expect(await service.ended).toBe(1);
      return service.errors().trim().split('\n').at(-1);
    };
    expect(await lastLine({ METRICS_PORT: String(port) })).toBe(
      `Cannot listen on 127.0.0.1:${port}: the port is in use. Set METRICS_PORT to another one.`,
    );
    expect(await lastLine({ HOST: '192.0.2.1', AUTH_MODE: 'none' })).toBe(
      'Cannot listen on 192.0.2.1:0: this machine does not have the address. Set HOST to an address of this machine, or to 0.0.0.0 for all of them.',
    );

    // Messages wait for their port, because another instance may still be closing it.
    const mesh = { MESH_TRANSPORT: 'tcp', MESH_URL: `tcp://192.0.2.1:${port}`, AUTH_MODE: 'none' };
    const waiting = await onDatabase(mesh);
    await until(() => waiting.output().includes('cannot answer messages yet'));
    expect(waiting.output()).toContain(
      'cannot answer messages yet: this machine does not have the address. Set MESH_URL to an address of this machine',
    );
    expect(await stopped(waiting)).toBe(0);
    expect(waiting.errors()).toBe('');
    holder.close();
  });

  it('writes one JSON object for each line with LOG_FORMAT=json, with requests and their ids', async () => {
    const service = await onDatabase({ LOG_FORMAT: 'json' });
    const url = await service.url;
    await request(url).get('/api/projects?limit=2').set('X-Request-Id', 'of-the-test').expect(200);
    expect(await stopped(service)).toBe(0);
    const lines = service
      .output()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    const messages = lines.map(({ message }) => message);
    expect(messages).toContainEqual(expect.stringContaining(`listens on ${url},`));
    expect(messages).toContainEqual({
      method: 'GET',
      route: '/api/projects',
      status: 200,
      ms: expect.any(Number),
      actor: '',
      requestId: 'of-the-test',
    });
    for (const { level, timestamp } of lines) {
      expect(level).toBe('info');
      expect(timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
    // Nest's messages about modules and routes appear only with LOG_LEVEL=debug.
    const contexts = lines.map(({ context }) => context);
    expect(contexts.filter((name) => !['Http', 'Migrations', 'Service'].includes(name))).toEqual(
      [],
    );
  });

  it('stops its PostgreSQL when it is stopped during the start', async () => {
    const folder = await createFolder();
    const service = await startProcess({}, folder);
    const directory = path.join(folder, '.data/postgres');
    await until(() => existsSync(directory) && readdirSync(directory).length > 1);
    service.send('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(existsSync(postmasterPid(folder))).toBe(false);
    expect(readdirSync(path.join(directory, 'users'))).toEqual([]);
  });
});

describe('the service on SIGTERM', () => {
  it('is not ready, refuses new work, finishes running work, and exits with 0', async () => {
    const service = await onDatabase({
      DATABASE_STATEMENT_TIMEOUT_MS: '60000',
      SHUTDOWN_DELAY_MS: '2000',
      SHUTDOWN_TIMEOUT_MS: '60000',
    });
    const url = await service.url;
    const writes = await blockWrites();
    const running = request(url).post('/api/projects').send(aProject());
    const answer = running.then((response) => response);
    await writes.areWaiting(1);

    service.send('SIGTERM');
    await until(async () => (await request(url).get('/health/ready')).status === 503);
    const ready = await request(url).get('/health/ready').expect(503);
    expect(ready.body.errors).toEqual([{ path: 'service', message: 'is shutting down' }]);
    expect(ready.headers.connection).toBe('close');
    const list = await request(url).get('/api/projects').expect(200);
    expect(list.headers.connection).toBe('close');
    await until(() => isRefused(url));

    await writes.release();
    const { status, headers } = await answer;
    expect([status, headers.connection]).toEqual([201, 'close']);
    expect(await service.ended).toBe(0);
    expect(service.errors()).toBe('');
    expect(await sessions()).toEqual([]);
  });

  it('fails no request of 500 keep-alive clients under load, and ends within the limit', async () => {
    const service = await onDatabase({
      DATABASE_ACQUIRE_TIMEOUT_MS: '20000',
      MAX_CONCURRENT_REQUESTS: '1000',
      SHUTDOWN_TIMEOUT_MS: '20000',
    });
    const url = new URL(await service.url);
    const before = await countProjects();
    const clients = Array.from({ length: 500 }, (_, number) => {
      return runClient(Number(url.port), { writes: number % 5 === 0, returns: number % 2 === 0 });
    });
    await sleep(2000);
    const signalled = performance.now();
    service.send('SIGTERM');
    const results = await Promise.all(clients);
    expect(await service.ended).toBe(0);
    const tookMs = performance.now() - signalled;

    expect(results.filter(({ failure }) => failure)).toEqual([]);
    expect(results.filter(({ statuses }) => statuses.size === 0)).toEqual([]);
    const statuses = results.flatMap((result) => [...result.statuses]);
    expect(new Set(statuses.map(([status]) => status))).toEqual(new Set([200, 201]));
    const created = sum(statuses.filter(([status]) => status === 201).map(([, count]) => count));
    expect(await countProjects()).toBe(before + created);
    expect(tookMs).toBeLessThan(20_000);
    expect(await sessions()).toEqual([]);
    expect(service.errors()).toBe('');
  }, 60_000);

  it('does not wait for idle clients', async () => {
    const service = await onDatabase();
    const url = new URL(await service.url);
    const sockets = ['', 'GET /api/projects HTTP/1.1\r\nHost: x\r\n', KEPT_ALIVE].map((head) => {
      const socket = net.connect(Number(url.port), url.hostname).on('error', () => {});
      socket.write(head);
      return socket;
    });
    await once(sockets[2]!, 'data');
    const signalled = performance.now();
    expect(await stopped(service)).toBe(0);
    expect(performance.now() - signalled).toBeLessThan(3000);
    for (const socket of sockets) socket.destroy();
  });

  it('ends a hanging request at the limit, logs it and exits with 1', async () => {
    const service = await onDatabase({
      SHUTDOWN_TIMEOUT_MS: '1500',
      DATABASE_STATEMENT_TIMEOUT_MS: '60000',
    });
    const writes = await blockWrites();
    const hanging = request(await service.url)
      .post('/api/projects')
      .send(aProject());
    const failure = hanging.then(
      () => 'answered',
      (error: NodeJS.ErrnoException) => error.code,
    );
    await writes.areWaiting(1);
    const signalled = performance.now();
    expect(await stopped(service)).toBe(1);
    expect(performance.now() - signalled).toBeGreaterThan(1400);
    expect(performance.now() - signalled).toBeLessThan(3000);
    expect(service.errors()).toBe('The service did not stop within 1500 ms.\n');
    expect(await failure).toBe('ECONNRESET');
    await writes.release();
  });

  it('exits at once on a second signal', async () => {
    const service = await onDatabase({ DATABASE_STATEMENT_TIMEOUT_MS: '60000' });
    const writes = await blockWrites();
    const hanging = request(await service.url)
      .post('/api/projects')
      .send(aProject());
    hanging.then(
      () => {},
      () => {},
    );
    await writes.areWaiting(1);
    service.send('SIGTERM');
    await sleep(1000);
    const second = performance.now();
    service.send('SIGTERM');
    expect(await service.ended).toBe('SIGTERM');
    expect(performance.now() - second).toBeLessThan(500);
    await writes.release();
  });

  it('counts the two SIGINTs of one Ctrl-C with npm as one', async () => {
    const service = await onDatabase();
    await service.url;
    service.send('SIGINT');
    await sleep(20);
    service.send('SIGINT');
    expect(await service.ended).toBe(0);
    expect(await sessions()).toEqual([]);
  });
});

describe('the service on SIGTERM with running transfers', () => {
  const row = `${JSON.stringify(aProject({ description: 'x'.repeat(15_000) }))}\n`;

  function startImport(url: string) {
    const headers = { 'Content-Type': 'application/x-ndjson' };
    const sender = http.request(`${url}/api/projects/import`, { method: 'POST', headers });
    sender.on('error', () => {});
    sender.write(row.repeat(200));
    return sender;
  }

  it('answers a slow import, breaks the connection of an unread export, and exits with 0', async () => {
    const folder = await createFolder();
    const service = await startProcess({}, folder);
    const url = await service.url;
    await readyAt(url);
    const filled = startImport(url);
    filled.end(row.repeat(1000));
    const [ready] = (await once(filled, 'response')) as [http.IncomingMessage];
    expect(ready.resume().statusCode).toBe(200);

    const sender = startImport(url);
    const dripping = setInterval(() => sender.write(' '), 100);
    const reader = net.connect(Number(new URL(url).port), '127.0.0.1');
    reader.on('error', () => {}).pause();
    reader.write('GET /api/projects/export HTTP/1.1\r\nHost: test\r\n\r\n');
    await sleep(1000);

    const signalled = performance.now();
    service.send('SIGTERM');
    const [answer] = (await once(sender, 'response')) as [http.IncomingMessage];
    let body = '';
    for await (const part of answer) body += part;
    clearInterval(dripping);
    expect(JSON.parse(body)).toMatchObject({
      status: 503,
      code: 'not_ready',
      detail: 'The service is shutting down. No row of the file was written. Send the file again.',
    });
    expect(answer.headers.connection).toBe('close');
    expect(await service.ended).toBe(0);
    expect(performance.now() - signalled).toBeLessThan(8000);
    expect(service.errors()).toBe('');
    expect(existsSync(postmasterPid(folder))).toBe(false);
    reader.destroy();
  });

  it('also stops its PostgreSQL when a request does not end within the limit', async () => {
    const folder = await createFolder();
    const service = await startProcess({ SHUTDOWN_TIMEOUT_MS: '300' }, folder);
    const url = await service.url;
    await readyAt(url);
    const sender = startImport(url);
    await sleep(500);
    service.send('SIGTERM');
    expect(await service.ended).toBe(1);
    expect(service.errors()).toContain('The service did not stop within 300 ms.');
    expect(existsSync(postmasterPid(folder))).toBe(false);
    sender.destroy();
  });
});

describe('the service without its database', () => {
  it('runs, is not ready and answers 503 at its start, and becomes ready when the database is available', async () => {
    const empty = await createEmptyDatabase();
    const proxy = await startProxy(empty.url);
    proxy.refuse();
    const service = await startProcess({ DATABASE_URL: proxy.url });
    const api = request(await service.url);
    await api.get('/health/live').expect(200);
    for (const check of ['ready', 'startup']) {
      const { body } = await api.get(`/health/${check}`).expect(503).expect('Retry-After', '1');
      expect(body).toMatchObject({ code: 'not_ready', errors: [{ path: 'database' }] });
    }
    for (const answer of [
      await api.get('/api/projects'),
      await api.post('/api/projects').send(aProject()),
    ]) {
      expect([answer.status, answer.body.code]).toEqual([503, 'database_unavailable']);
      expect(answer.headers['retry-after']).toBe('1');
    }
    await sleep(1500);

    await proxy.accept();
    await until(async () => (await api.get('/health/ready')).status === 200);
    await api.get('/health/startup').expect(200);
    await api.post('/api/projects').send(aProject()).expect(201);
    // It is logged once, not at every attempt.
    expect(service.output().match(/waiting for the database/g)).toHaveLength(1);

    proxy.refuse();
    await api.get('/health/ready').expect(503);
    await api.get('/health/startup').expect(200);
    expect(await stopped(service)).toBe(0);
    await empty.drop();
  });

  it.each(['refuses', 'does not answer'])(
    'can be stopped while it waits for a database that %s',
    async (how) => {
      const proxy = await startProxy(database.url);
      if (how === 'refuses') proxy.refuse();
      else proxy.freeze();
      const service = await startProcess({ DATABASE_URL: proxy.url });
      await service.url;
      await sleep(300);
      const signalled = performance.now();
      expect(await stopped(service)).toBe(0);
      expect(performance.now() - signalled).toBeLessThan(3000);
      expect(service.errors()).toBe('');
      proxy.close();
    },
  );

  it('can be stopped while another instance migrates', async () => {
    const sql = postgres(database.url, { max: 1 });
    const other = await sql.reserve();
    await other`begin`;
    await other`select pg_advisory_xact_lock(${String(0x6d696772617465n)})`;
    const service = await onDatabase();
    await service.url;
    await until(async () => (await waitingForLocks()) > 0);
    const ended = await stopped(service);
    await other`rollback`;
    await sql.end({ timeout: 1 });
    expect(ended).toBe(0);
    await until(async () => (await sessions()).length === 0);
  });
});

describe('the service with its migrations', () => {
  it('runs with MIGRATIONS=verify while they are pending, and is not ready until they are applied', async () => {
    const empty = await createEmptyDatabase();
    const service = await startProcess({ DATABASE_URL: empty.url, MIGRATIONS: 'verify' });
    const api = request(await service.url);
    await api.get('/health/live').expect(200);
    const { body } = await api.get('/health/ready').expect(503);
    expect(body.errors).toEqual([
      { path: 'migrations', message: expect.stringMatching(/^pending: .*\b0001_tables\b/) },
    ]);
    await api.get('/api/projects').expect(503);

    await migrate({ url: empty.url });
    await api.get('/health/ready').expect(200);
    await api.get('/api/projects').expect(200);
    expect(await stopped(service)).toBe(0);
    await empty.drop();
  });

  it('applies none if one was edited, and names it in readiness and in the log', async () => {
    const edited = await createTestDatabase();
    await onServer(
      edited.url,
      `update projects_service_migrations set hash = 'another'
      where id = (select max(id) from projects_service_migrations)`,
    );
    const service = await startProcess({ DATABASE_URL: edited.url });
    const { body } = await request(await service.url)
      .get('/health/ready')
      .expect(503);
    expect(body.errors).toEqual([
      { path: 'migrations', message: expect.stringMatching(/^edited: \d{4}_\w+$/) },
    ]);
    const { message } = body.errors[0];
    await until(() => service.errors().includes(`the migrations cannot be applied`));
    expect(service.errors()).toContain(message);
    expect(await stopped(service)).toBe(0);
    await edited.drop();
  });

  it('is ready with MIGRATIONS=off, whatever their state is', async () => {
    const empty = await createEmptyDatabase();
    const service = await startProcess({ DATABASE_URL: empty.url, MIGRATIONS: 'off' });
    await request(await service.url)
      .get('/health/ready')
      .expect(200);
    expect(await stopped(service)).toBe(0);
    await empty.drop();
  });
});

describe('the service with an embedded PostgreSQL', () => {
  it('finds its data at the next start after kill -9, and stops cleanly', async () => {
    const folder = await createFolder();
    const killed = await startProcess({}, folder);
    await readyAt(await killed.url);
    const { body } = await request(await killed.url)
      .post('/api/projects')
      .send(aProject())
      .expect(201);
    killed.send('SIGKILL');
    expect(await killed.ended).toBe('SIGKILL');

    const next = await startProcess({}, folder);
    await readyAt(await next.url);
    await request(await next.url)
      .get(`/api/projects/${body.data.id}`)
      .expect(200, body);
    expect(await stopped(next)).toBe(0);
    expect(existsSync(postmasterPid(folder))).toBe(false);
    expect(killed.errors() + next.errors()).toBe('');
  });
});

function stopped(service: ServiceProcess): Promise<number | NodeJS.Signals> {
  service.send('SIGTERM');
  return service.ended;
}

function readyAt(url: string): Promise<void> {
  return until(async () => (await request(url).get('/health/ready')).status === 200, 30_000);
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function postmasterPid(folder: string): string {
  return path.join(folder, '.data/postgres/data/postmaster.pid');
}

async function isRefused(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname);
  const refused = await once(socket, 'connect').then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
  );
  socket.destroy();
  return refused;
}

async function onServer(url: string, statement: string): Promise<postgres.RowList<postgres.Row[]>> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}

/** Returns the sessions of services on the database. */
async function sessions(): Promise<unknown[]> {
  const rows = await onServer(
    database.url,
    `select application_name, state from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
  );
  return [...rows];
}

async function countProjects(): Promise<number> {
  const [row] = await onServer(database.url, 'select count(*)::int as count from projects');
  return row!.count;
}

async function waitingForLocks(): Promise<number> {
  const [row] = await onServer(
    database.url,
    `select count(*)::int as count from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return row!.count;
}

/** Blocks all writes to projects until it is released. */
async function blockWrites() {
  const sql = postgres(database.url, { max: 1 });
  const holder = await sql.reserve();
  await holder`begin`;
  await holder`lock table projects in share row exclusive mode`;
  return {
    areWaiting: (count: number) => until(async () => (await waitingForLocks()) >= count),
    release: async () => {
      await holder`rollback`;
      await sql.end({ timeout: 1 });
    },
  };
}

const KEPT_ALIVE = 'GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n';

interface ClientHabits {
  writes: boolean;
  /** True if it connects again after the service has closed the connection, until it is refused. */
  returns: boolean;
}

interface ClientResult {
  /** The number of complete answers by status. */
  statuses: Map<number, number>;
  /** The errors of requests that were sent and got no complete answer. */
  failure?: string;
}

/** Sends one request after another on one connection. */
async function runClient(port: number, { writes, returns }: ClientHabits): Promise<ClientResult> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const statuses = new Map<number, number>();
  try {
    for (let closing = false; returns || !closing;) {
      const { status, connection } = await send(agent, port, writes);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      closing = connection === 'close';
    }
    return { statuses };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { statuses, failure: returns && code === 'ECONNREFUSED' ? undefined : message };
  } finally {
    agent.destroy();
  }
}

async function send(agent: http.Agent, port: number, write: boolean) {
  const req = http.request({
    agent,
    port,
    host: '127.0.0.1',
    method: write ? 'POST' : 'GET',
    path: write ? '/api/projects' : '/api/projects?limit=3',
    headers: write ? { 'Content-Type': 'application/json' } : {},
  });
  req.end(write ? JSON.stringify(aProject()) : undefined);
  const [res] = (await once(req, 'response')) as [http.IncomingMessage];
  let body = '';
  for await (const chunk of res) body += chunk;
  JSON.parse(body);
  return { status: res.statusCode!, connection: res.headers.connection };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
