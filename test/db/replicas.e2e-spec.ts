import { once } from 'node:events';
import net from 'node:net';
import { jest } from '@jest/globals';
import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { sql } from 'drizzle-orm';
import { integer, pgTable, text, uuid } from 'drizzle-orm/pg-core';
import type postgres from 'postgres';
import { createApplication } from '../../src/application.js';
import type { Environment } from '../../src/config/environment.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import type { Db } from '../../src/db/connection.js';
import {
  createTimestamps,
  DATABASE,
  DatabaseModule,
  defineEntity,
  EntityDto,
  entityModule,
  entityResource,
  migrate,
  type Replicas,
  replicasOf,
  TextField,
} from '../../src/index.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { atEnd, connectPlainly, endEachTest, sleep, until } from '../support/connections.js';
import { startProxy } from '../support/proxy.js';

const LONG = 60_000;
const TOKEN = 'x-consistency-token';
let cluster: Cluster;
endEachTest();

beforeAll(async () => {
  cluster = await startCluster({ max_standby_streaming_delay: '0' }, { standbys: 2 });
  await migrate({ url: cluster.primary });
  await cluster.replayed();
});
afterAll(() => cluster.stop());

type Variables = Partial<Record<keyof Environment, string>>;

interface Service {
  app: NestExpressApplication;
  replicas: Replicas;
  send: (method: string, path: string, options?: Options) => Promise<Answer>;
}
interface Options {
  body?: object;
  headers?: Record<string, string>;
}
interface Answer {
  status: number;
  token: string | null;
  body: { code?: string; data: { id: string; version: number; name: string } };
}

/** Starts the service on the cluster. Resolves when both replicas serve reads. */
async function startOnReplicas(variables: Variables = {}): Promise<Service> {
  const service = await startHere({
    DATABASE_REPLICA_URLS: `${cluster.standby},${cluster.second}`,
    DATABASE_REPLICA_MAX_LAG_MS: '2000',
    ...variables,
  });
  const replicas = replicasOf(service.app.get<Db>(DATABASE))!;
  await until(() => healthyOf(replicas) === 2, LONG);
  return { ...service, replicas };
}

async function startHere(variables: Variables): Promise<Omit<Service, 'replicas'>> {
  const app = await createApplication(
    validateEnvironment({
      DATABASE_URL: cluster.primary,
      NODE_ENV: 'test',
      LOG_LEVEL: 'fatal',
      MIGRATIONS: 'off',
      ...variables,
    }),
  );
  atEnd(() => app.close());
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  return {
    app,
    send: async (method, path, { body, headers } = {}) => {
      const response = await fetch(`${url}/api/${path}`, {
        method,
        headers: { ...(body && { 'Content-Type': 'application/json' }), ...headers },
        body: body && JSON.stringify(body),
      });
      const answer = (await response.json()) as Answer['body'];
      return { status: response.status, token: response.headers.get(TOKEN), body: answer };
    },
  };
}

/** Runs a query on a standby. It is repeated if it conflicts with the replay. */
async function onStandby(url: string, text: string): Promise<postgres.Row | undefined> {
  for (;;) {
    try {
      return (await connectPlainly(url).unsafe(text))[0];
    } catch (error) {
      expect((error as { code?: string }).code).toBe('40001');
    }
  }
}

/** Resolves when the standbys no longer replay. */
async function pause(...urls: string[]): Promise<void> {
  for (const url of urls) {
    await onStandby(url, 'select pg_wal_replay_pause()');
    const state = 'select pg_get_wal_replay_pause_state() as state';
    await until(async () => (await onStandby(url, state))!.state === 'paused', LONG);
  }
}

async function resume(...urls: string[]): Promise<void> {
  for (const url of urls) await onStandby(url, 'select pg_wal_replay_resume()');
}

/**
 * Forwards each connection to the next of the servers, and the next one after `endFirst` to the second server. With
 * `isSplit`, the first connection leads to the first server, and all others to the second one.
 */
async function startBalancer(urls: [string, string], { isSplit = false } = {}) {
  const clients: net.Socket[] = [];
  const connections = urls.map(() => 0);
  let next = 0;
  const server = net.createServer((client) => {
    const at = isSplit ? Math.min(next++, 1) : next++ % urls.length;
    connections[at]!++;
    const { hostname, port } = new URL(urls[at]!);
    const upstream = net.connect(Number(port), hostname);
    client.on('error', () => undefined).on('close', () => upstream.destroy());
    upstream.on('error', () => undefined).on('close', () => client.destroy());
    client.pipe(upstream).pipe(client);
    clients.push(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(() => {
    server.close();
    for (const client of clients) client.destroy();
  });
  const url = new URL(urls[0]);
  url.port = String((server.address() as net.AddressInfo).port);
  const endFirst = () => {
    next = 1;
    clients[0]!.destroy();
  };
  return { url: url.href, connections, endFirst };
}

const healthyOf = (replicas: Replicas) => replicas.stats().filter(({ healthy }) => healthy).length;
const readsOf = (replicas: Replicas) => replicas.stats().reduce((sum, { reads }) => sum + reads, 0);
const project = (name: string) => ({ name, description: '', technologies: ['SQL'] });
const withToken = ({ token }: Answer) => ({ headers: { [TOKEN]: token! } });

/** Writes a project in each way and checks that a read with the token sees it. Two rounds: the first prepares statements. */
async function checkEachKind(send: Service['send'], path: string): Promise<void> {
  for (const round of ['first', 'second']) {
    const key = { 'Idempotency-Key': `while-paused-${round}` };
    for (const [method, target, options] of [
      ['POST', 'projects', { body: project('posted') }],
      ['POST', 'projects', { body: project('posted with a key'), headers: key }],
      ['PUT', path, { body: project(`replaced ${round}`) }],
      ['PATCH', path, { body: { name: `patched ${round}` } }],
    ] as const) {
      const { token, body } = await send(method, target, options);
      const seen = await send('GET', `projects/${body.data.id}`, { headers: { [TOKEN]: token! } });
      expect(seen.body.data).toEqual(body.data);
    }
    const removed = await send('POST', 'projects', { body: project('removed') });
    const target = `projects/${removed.body.data.id}`;
    expect((await send('GET', target, withToken(await send('DELETE', target)))).status).toBe(404);
    const name = `of a batch, ${round}`;
    const operations = [{ op: 'create', project: project(name) }];
    const batch = await send('POST', 'projects/batch', { body: { operations } });
    const list = await send('GET', 'projects?limit=1', withToken(batch));
    expect(list.body).toMatchObject({ data: [{ name }] });
  }
}

describe('reads over two replicas', () => {
  it('a read sees the write whose token it sends, on a replica as soon as one has it', async () => {
    const { send, replicas } = await startOnReplicas();
    for (let n = 0; n < 200; n++) {
      const created = await send('POST', 'projects', { body: project(`own write ${n}`) });
      const path = `projects/${created.body.data.id}`;
      expect(created.token).toMatch(/^[0-9A-F]+-[0-9A-F]+\/[0-9A-F]+$/);
      expect((await send('GET', path, withToken(created))).status).toBe(200);
    }
    expect(readsOf(replicas) + replicas.readsOnPrimary).toBe(200);
    const written = await send('POST', 'projects', { body: project('replayed') });
    const path = `projects/${written.body.data.id}`;
    await until(async () => {
      const before = readsOf(replicas);
      expect((await send('GET', path, withToken(written))).status).toBe(200);
      return readsOf(replicas) > before;
    }, LONG);
  });

  it('every kind of successful write returns a token, and a failed one does not', async () => {
    const { send } = await startOnReplicas();
    const created = await send('POST', 'projects', {
      body: project('all kinds'),
      headers: { 'Idempotency-Key': 'all-kinds' },
    });
    const path = `projects/${created.body.data.id}`;
    const writes = [
      created,
      await send('POST', 'projects', {
        body: project('all kinds'),
        headers: { 'Idempotency-Key': 'all-kinds' },
      }),
      await send('PUT', path, { body: project('replaced') }),
      await send('PATCH', path, { body: { name: 'patched' } }),
      await send('DELETE', path),
      await send('POST', 'projects/batch', {
        body: { operations: [{ op: 'create', project: project('of a batch') }] },
      }),
    ];
    expect(writes.map(({ status }) => status)).toEqual([201, 201, 200, 200, 200, 200]);
    for (const { token } of writes) expect(token).toMatch(/^1-/);
    expect(await send('DELETE', path)).toMatchObject({ status: 404, token: null });
    expect(await send('GET', 'projects')).toMatchObject({ status: 200, token: null });
  });

  it('get, lists, technologies and history read on replicas; feed and export read on the primary', async () => {
    const { send, replicas } = await startOnReplicas();
    const { id } = (await send('POST', 'projects', { body: project('where') })).body.data;
    await cluster.replayed();
    await until(() => healthyOf(replicas) === 2, LONG);
    for (const path of [
      'projects',
      `projects/${id}`,
      `projects?id=${id}`,
      'projects?q=where',
      'technologies',
      `projects/${id}/history`,
    ]) {
      await until(async () => {
        const before = readsOf(replicas);
        expect((await send('GET', path)).status).toBe(200);
        return readsOf(replicas) === before + 1;
      }, LONG);
    }
    const before = [readsOf(replicas), replicas.readsOnPrimary];
    expect((await send('GET', 'projects/changes')).status).toBe(200);
    expect([readsOf(replicas), replicas.readsOnPrimary]).toEqual(before);
  });

  it('an invalid token is refused on every read, and a future token is answered by the primary', async () => {
    const { send, replicas } = await startOnReplicas();
    const paths = ['projects', 'technologies', 'projects/changes', 'projects/export'];
    const forged = ['1', 'x', '1-', '16/B374D848', '1-16/B374D848x', '-1-0/0', '1-0/123456789'];
    for (const path of paths) {
      for (const token of [...forged, '1-0/1, 1-0/1']) {
        const answer = await send('GET', path, { headers: { [TOKEN]: token } });
        expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_header' } });
      }
    }
    const before = replicas.readsOnPrimary;
    for (const token of ['1-FFFFFFFF/FFFFFFFF', 'FFFFFFFF-0/1', 'FFFFFFFF-FFFFFFFF/FFFFFFFF']) {
      expect((await send('GET', 'projects', { headers: { [TOKEN]: token } })).status).toBe(200);
    }
    expect(replicas.readsOnPrimary).toBe(before + 3);
  });

  it('reads with a token are correct and others are within the limit while replay is paused', async () => {
    const { send, replicas } = await startOnReplicas();
    await pause(cluster.standby, cluster.second);
    try {
      const written = await send('POST', 'projects', { body: project('paused') });
      const path = `projects/${written.body.data.id}`;
      expect((await send('GET', path, withToken(written))).status).toBe(200);
      const writtenAt = performance.now();
      await checkEachKind(send, path);
      for (;;) {
        const askedAt = performance.now();
        const { status } = await send('GET', path);
        // The limit applies to the time of the request.
        if (askedAt - writtenAt > 2000) expect(status).toBe(200);
        if (askedAt - writtenAt > 3000) break;
      }
      expect(healthyOf(replicas)).toBe(0);
      expect(replicas.stats().every(({ lagMs }) => lagMs > 2000)).toBe(true);
    } finally {
      await resume(cluster.standby, cluster.second);
    }
    await until(() => healthyOf(replicas) === 2, LONG);
  });

  it('a URL that leads to several servers, such as a balancer, gives no stale read', async () => {
    const balancer = await startBalancer([cluster.second, cluster.standby]);
    await pause(cluster.second);
    try {
      const { app, send } = await startHere({
        DATABASE_REPLICA_URLS: balancer.url,
        DATABASE_REPLICA_MAX_LAG_MS: '0',
      });
      const replicas = replicasOf(app.get<Db>(DATABASE))!;
      await until(() => healthyOf(replicas) === 1, LONG);
      // The reads overlap, so that the pool opens several connections.
      const readTwelve = async (token?: string) => {
        const read = (on: Db) =>
          on.execute<{ n: number }>(sql`
            select count(*)::int as n, pg_sleep(0.1) from projects where name = 'balanced'`);
        const found = await Promise.all(
          Array.from({ length: 12 }, () => replicas.read(token, read)),
        );
        return found.map(([row]) => row!.n);
      };
      expect(await readTwelve()).toEqual(Array.from({ length: 12 }, () => 0));
      const before = readsOf(replicas);
      expect(before).toBeGreaterThan(0);
      const { token } = await send('POST', 'projects', { body: project('balanced') });
      balancer.endFirst(); // the connection of the check, which then leads to the other server
      await until(async () => {
        expect(await readTwelve(token!)).toEqual(Array.from({ length: 12 }, () => 1));
        return readsOf(replicas) > before;
      }, LONG);
      expect(balancer.connections.every((count) => count > 1)).toBe(true);
    } finally {
      await resume(cluster.second);
    }
  });

  it('a replica whose check and pool lead to different servers costs no read and few connections', async () => {
    const balancer = await startBalancer([cluster.standby, cluster.second], { isSplit: true });
    const { app } = await startHere({ DATABASE_REPLICA_URLS: balancer.url });
    const replicas = replicasOf(app.get<Db>(DATABASE))!;
    await until(() => healthyOf(replicas) === 1, LONG);
    const read = () => replicas.read(undefined, (db) => db.execute(sql`select 1 as n`));
    const found = await Promise.all(Array.from({ length: 12 }, read));
    expect(found.map(([row]) => row!.n)).toEqual(Array.from({ length: 12 }, () => 1));
    expect([readsOf(replicas), replicas.readsOnPrimary]).toEqual([0, 12]);
    expect(balancer.connections[1]).toBeGreaterThan(0);
    expect(balancer.connections[1]).toBeLessThanOrEqual(24);
  });

  it('a read during which another server gets the address of its replica sees the write of its token', async () => {
    const proxy = await startProxy(cluster.second);
    atEnd(() => proxy.close());
    await pause(cluster.standby);
    try {
      const { app, send } = await startHere({
        DATABASE_REPLICA_URLS: proxy.url,
        DATABASE_REPLICA_MAX_LAG_MS: '0',
      });
      const replicas = replicasOf(app.get<Db>(DATABASE))!;
      await until(() => healthyOf(replicas) === 1, LONG);
      const { token } = await send('POST', 'projects', { body: project('moved') });
      const count = (db: Db) =>
        db.execute(sql`select count(*)::int as n from projects where name = 'moved'`);
      await until(async () => {
        await replicas.read(token!, count);
        return readsOf(replicas) > 0;
      }, LONG);
      let attempts = 0;
      const read = replicas.read(token!, async (db) => {
        if (attempts++ > 0) return await count(db);
        await count(db);
        proxy.refuse();
        await proxy.accept(cluster.standby);
        const started = 'select pg_postmaster_start_time()::text as at';
        const { at } = (await onStandby(cluster.standby, started))!;
        await until(async () => {
          const [row] = await db.execute(sql.raw(started)).catch(() => []);
          return row?.at === at;
        }, LONG);
        return await count(db);
      });
      expect(await read).toEqual([{ n: 1 }]);
    } finally {
      await resume(cluster.standby);
    }
  });

  it('the log says why a replica is not used, once, and that it answers again', async () => {
    const said: unknown[] = [];
    for (const level of ['warn', 'log'] as const)
      jest.spyOn(Logger.prototype, level).mockImplementation((message: unknown) => {
        if (String(message).startsWith('the replica ')) said.push(message);
      });
    atEnd(() => jest.restoreAllMocks());
    const proxy = await startProxy(cluster.standby);
    atEnd(() => proxy.close());
    const wrong = new URL(cluster.second);
    wrong.password = 'wrong-secret';
    await startHere({ DATABASE_REPLICA_URLS: `${proxy.url},${wrong.href}` });
    await until(() => said.length === 1, LONG);
    expect(said[0]).toMatch(
      `the replica ${wrong.host} is not used: password authentication failed for user "postgres" (28P01). Check user and password`,
    );
    proxy.refuse();
    await until(() => /ECONNREFUSED/.test(String(said.at(-1))), LONG);
    const before = said.length;
    await sleep(1000);
    expect(said).toHaveLength(before);
    await proxy.accept();
    await until(() => said.length > before, LONG);
    expect(said.at(-1)).toBe(`the replica ${new URL(proxy.url).host} answers again`);
  });

  it('a read that recovery cancels is answered by the primary', async () => {
    const { replicas } = await startOnReplicas();
    const asked: Db[] = [];
    const reading = replicas.read(undefined, async (db) => {
      asked.push(db);
      if (asked.length > 1) return await db.execute(sql`select pg_is_in_recovery() as standby`);
      return await db.execute(sql`select count(*), pg_sleep(30) from projects`);
    });
    const primary = connectPlainly(cluster.primary);
    const watchers = [cluster.standby, cluster.second].map((url) => connectPlainly(url));
    await until(async () => {
      const active = await Promise.all(
        watchers.map((w) => w`select from pg_stat_activity where query like '%pg_sleep(30)%'`),
      );
      return active.some((rows) => rows.length > 1); // one of them belongs to the watcher
    }, LONG);
    await primary.begin((tx) => tx`lock table projects in access exclusive mode`);
    expect(await reading).toMatchObject([{ standby: expect.any(Boolean) as boolean }]);
    expect(asked).toHaveLength(2);
  });

  it('no read fails when a replica dies, and the replica is used again when it is back', async () => {
    const { send, replicas } = await startOnReplicas();
    const statuses = new Map<number, number>();
    let reading = true;
    const reader = async () => {
      while (reading) {
        const { status } = await send('GET', 'projects');
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    const readers = Array.from({ length: 16 }, reader);
    try {
      await until(() => readsOf(replicas) > 100, LONG);
      await cluster.kill('second');
      await until(() => healthyOf(replicas) === 1, LONG);
      await cluster.kill('standby');
      await until(() => healthyOf(replicas) === 0, LONG);
      const before = replicas.readsOnPrimary;
      await until(() => replicas.readsOnPrimary > before + 100, LONG);
      await cluster.start('standby');
      await cluster.start('second');
      await until(() => healthyOf(replicas) === 2, LONG);
    } finally {
      reading = false;
      await Promise.all(readers);
    }
    expect([...statuses.keys()]).toEqual([200]);
  });

  it('no read is older than its token while writers write', async () => {
    const { send, replicas } = await startOnReplicas();
    const stale: string[] = [];
    let reads = 0;
    const isEnough = () => reads >= 2000 && readsOf(replicas) >= 300;
    const writer = async (n: number) => {
      let last = await send('POST', 'projects', { body: project(`writer ${n}`) });
      const path = `projects/${last.body.data.id}`;
      const reader = async () => {
        while (!isEnough()) {
          const { token, body } = last;
          const seen = await send('GET', path, { headers: { [TOKEN]: token! } });
          const [found, written] = [seen.body.data.version, body.data.version];
          if (found < written) stale.push(`${found} for ${written}`);
          reads++;
        }
      };
      const readers = [reader(), reader()];
      while (!isEnough()) {
        last = await send('PATCH', path, { body: { name: `write ${last.body.data.version}` } });
        await sleep(Math.random() * 100);
      }
      await Promise.all(readers);
    };
    await Promise.all(Array.from({ length: 8 }, (_, n) => writer(n)));
    expect(stale).toEqual([]);
  });
});

describe('an entity of a host', () => {
  const table = pgTable('notes', {
    id: uuid('id').primaryKey().defaultRandom(),
    name: text('name').notNull(),
    ...createTimestamps(),
    version: integer('version').notNull().default(1),
  });
  const entity = defineEntity({ name: 'note', table, written: ['name'], sorts: [], filters: {} });
  class NoteDto extends EntityDto {
    @TextField({ min: 1, max: 100 })
    name!: string;
  }
  const NOTES = entityResource(entity, { path: 'notes', dto: NoteDto });

  @Module(entityModule(NOTES))
  class NotesModule {}

  it('returns tokens, and is read on servers that have replayed them', async () => {
    await connectPlainly(cluster.primary).unsafe(`
      create table notes (
        id uuid primary key default gen_random_uuid(), name text not null,
        created_at timestamptz(3) not null default now(),
        updated_at timestamptz(3) not null default now(), version integer not null default 1);
      select track_changes('notes', 'note')`);
    const configs = [{ url: cluster.standby }, { url: cluster.second }];
    @Module({
      imports: [
        DatabaseModule.forRoot({ url: cluster.primary, replicas: { configs } }),
        NotesModule,
      ],
    })
    class HostModule {}
    const app = await NestFactory.create<NestExpressApplication>(HostModule, { logger: false });
    atEnd(() => app.close());
    await app.listen(0, '127.0.0.1');
    const base = `${await app.getUrl()}/notes`;
    const replicas = replicasOf(app.get<Db>(DATABASE))!;
    await until(() => healthyOf(replicas) === 2, LONG);

    const created = await fetch(base, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: 'first' }),
    });
    const { data } = (await created.json()) as { data: { id: string } };
    const headers = { [TOKEN]: created.headers.get(TOKEN)! };
    for (const path of [`${base}/${data.id}`, base, `${base}/${data.id}/history`]) {
      await until(async () => {
        const before = readsOf(replicas);
        const seen = await fetch(path, { headers });
        expect(await seen.text()).toContain(data.id);
        return readsOf(replicas) > before;
      }, LONG);
    }
    const removed = await fetch(`${base}/${data.id}`, { method: 'DELETE' });
    expect(removed.headers.get(TOKEN)).toMatch(/^1-/);
  });
});

it('a write returns no token without replicas, and a read may send one', async () => {
  const { send } = await startHere({});
  const created = await send('POST', 'projects', { body: project('plain') });
  expect(created).toMatchObject({ status: 201, token: null });
  const read = (token: string) => send('GET', 'projects', { headers: { [TOKEN]: token } });
  expect((await read('1-0/1')).status).toBe(200);
  expect(await read('forged')).toMatchObject({ status: 400, body: { code: 'invalid_header' } });
});
