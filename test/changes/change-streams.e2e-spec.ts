import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import request from 'supertest';
import { ChangeStreams } from '../../src/changes/change-streams.js';
import { DatabaseModule } from '../../src/db/database.module.js';
import { ProjectsModule } from '../../src/projects/projects.module.js';
import { atEnd, endEachTest, sleep, until } from '../support/connections.js';
import { createTestDatabase } from '../support/database.js';
import { type EventClient, openEvents } from '../support/event-client.js';
import { killServices, startProcess } from '../support/process.js';
import { startProxy } from '../support/proxy.js';
import { startService, type TestService } from '../support/service.js';

let service: TestService;
let sql: postgres.Sql;
/** This stream is opened at the start and checked after 15 seconds. */
let silent: EventClient;
beforeAll(async () => {
  service = await startService();
  sql = postgres(service.database.url, { max: 10, onnotice: () => {} });
  silent = await openEvents(`${service.url}${FEED}?after=now`);
});
afterAll(async () => {
  silent.leave();
  await sql.end();
  await service.close();
});
endEachTest();

const FEED = '/api/projects/changes';

async function follow(
  query = '',
  headers = {},
  to: { url: string } = service,
): Promise<EventClient> {
  const client = await openEvents(`${to.url}${FEED}${query}`, headers);
  atEnd(() => client.leave());
  return client;
}

const insert = (name: string, on: postgres.ISql = sql) =>
  on`insert into projects (name, description, technologies) values (${name}, '', '[]')`;

const namesOf = ({ events }: EventClient) =>
  events.map(({ data }) => (data.after ?? data.before)!.name);

/** Returns the name of every change, in commit order. */
const allNames = async (from = 0) =>
  (
    await sql`select coalesce(after, before) ->> 'name' as name from change_commits
      join changes using (change_set) where position > ${from} order by position, sequence`
  ).map(({ name }) => name);

const lastPosition = async () =>
  Number((await sql`select coalesce(max(position), 0) as last from change_commits`)[0]!.last);

/** Returns the service's sessions that listen to changes. */
const listeners = async (on = sql) =>
  (
    await on`select pid from pg_stat_activity where datname = current_database()
    and application_name = 'projects-service listener'`
  ).map(({ pid }) => pid as number);

describe('a stream of changes', () => {
  it('begins at once, sets the time to reconnect, and sends each change when it is committed', async () => {
    const client = await follow('?after=now');
    const { statusCode, headers } = client.response;
    expect([statusCode, headers['content-type'], headers['cache-control']]).toEqual([
      200,
      'text/event-stream',
      'no-store, no-transform',
    ]);
    expect([headers['x-accel-buffering'], headers.vary]).toEqual(['no', 'Accept']);
    expect(headers['x-request-id']).toBeTruthy();
    await until(() => client.lastEventId !== '');
    const start = client.lastEventId;

    await insert('one');
    await sql`update projects set description = 'x' where name = 'one'`;
    await sql`delete from projects where name = 'one'`;
    const events = await client.received(3);
    expect(events.map(({ event, data }) => [event, data.action, data.version])).toEqual([
      ['created', 'created', 1],
      ['updated', 'updated', 2],
      ['deleted', 'deleted', 3],
    ]);
    for (const { id, data } of events) expect(id).toBe(data.cursor);
    const page = await request(service.url).get(`${FEED}?after=${start}`);
    expect(page.body.data).toEqual(events.map(({ data }) => data));
  });

  it('begins with the oldest stored change or after a cursor, and then continues live', async () => {
    const from = await lastPosition();
    await sql`insert into projects (name, description, technologies)
      select 'many ' || n, '', '[]' from generate_series(1, 250) as n`;
    const all = await follow();
    const names = await allNames();
    await all.received(names.length);
    expect(namesOf(all)).toEqual(names);

    const half = all.events.at(-125)!;
    const behind = await follow(`?after=${half.id}`);
    const resumed = await follow('?after=now', { 'Last-Event-ID': half.id });
    await insert('live');
    for (const client of [behind, resumed]) {
      await client.received(125);
      expect(namesOf(client)).toEqual((await allNames(from)).slice(-125));
    }
    await all.received(names.length + 1);
    expect(namesOf(all).at(-1)).toBe('live');
  });

  it('loses nothing when its client is disconnected before its first event', async () => {
    const client = await follow('?after=now');
    await until(() => client.lastEventId !== '');
    client.leave();
    await insert('meanwhile');
    const again = await follow('?after=now', { 'Last-Event-ID': client.lastEventId });
    await again.received(1);
    expect(namesOf(again)).toEqual(['meanwhile']);
  });

  it('continues with live changes without a gap or a repetition while eight writers write', async () => {
    const from = await lastPosition();
    const first = await follow('?after=now');
    let writing = true;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let round = 0; writing; round++)
        await sql.begin(async (tx) => {
          await insert(`${writer} ${round}`, tx);
          await sleep(Math.random() * 4);
          await insert(`${writer} ${round} too`, tx);
        });
    });
    await first.received(20);
    const clients = [first];
    for (let opened = 0; opened < 20; opened++) {
      await sleep(20);
      const { id } = first.events[Math.floor(Math.random() * first.events.length)]!;
      clients.push(await follow('', { 'Last-Event-ID': id }));
    }
    writing = false;
    await Promise.all(writers);
    const names = await allNames(from);
    expect(names.length).toBeGreaterThan(200);
    for (const client of clients) {
      await until(() => namesOf(client).at(-1) === names.at(-1));
      const got = namesOf(client);
      expect(got).toEqual(names.slice(-got.length));
    }
    expect(namesOf(first)).toHaveLength(names.length);
  });

  it('shares one listening connection with a thousand others, which closes after the last one', async () => {
    const alone = await startService();
    const there = postgres(alone.database.url, { max: 1 });
    atEnd(async () => {
      await there.end();
      await alone.close();
    });
    const sessions = async () =>
      (
        await there`select from pg_stat_activity
          where datname = current_database() and backend_type = 'client backend'`
      ).length;
    expect(await listeners(there)).toEqual([]);
    const clients: EventClient[] = [];
    while (clients.length < 1000)
      clients.push(
        ...(await Promise.all(Array.from({ length: 25 }, () => follow('?after=now', {}, alone)))),
      );
    expect(await listeners(there)).toHaveLength(1);
    const before = await sessions();
    await insert('for all', there);
    await Promise.all(clients.map((client) => client.received(1, 15_000)));
    expect(new Set(clients.map((client) => client.events[0]!.id)).size).toBe(1);
    expect(await sessions()).toBe(before);
    for (const client of clients.slice(1)) client.leave();
    await insert('for the one that is left', there);
    await clients[0]!.received(2);
    expect(await listeners(there)).toHaveLength(1);
    clients[0]!.leave();
    await until(async () => (await listeners(there)).length === 0);
  }, 60_000);

  it('follows the speed of its client when that is slower than the others, and loses nothing', async () => {
    const from = await lastPosition();
    const [good, slow, stopped] = await Promise.all(
      Array.from({ length: 3 }, () => follow('?after=now')),
    );
    for (const client of [slow!, stopped!]) await until(() => client.lastEventId !== '');
    let isSlow = true;
    slow!.response.on('data', () => {
      if (isSlow) slow!.response.pause();
      setTimeout(() => slow!.response.resume(), 10);
    });
    stopped!.response.pause();
    const description = '🚀'.repeat(20_000);
    for (let round = 0; round < 300; round++)
      await sql`insert into projects (name, description, technologies)
        values (${`large ${round}`}, ${description}, '[]')`;
    await good!.received(300, 20_000);
    expect(stopped!.events).toEqual([]);
    isSlow = false;
    stopped!.response.resume();
    for (const client of [good!, slow!, stopped!]) {
      await client.received(300, 20_000);
      expect(client.hasEnded).toBe(false);
      expect(namesOf(client)).toEqual(await allNames(from));
    }
    await insert('live again');
    for (const client of [good!, slow!, stopped!]) await client.received(301);
  }, 60_000);

  it('loses nothing when its listening session ends or a notification is lost', async () => {
    const client = await follow('?after=now');
    await insert('before');
    await client.received(1);
    const [killed] = await listeners();
    await sql`select pg_terminate_backend(${killed!})`;
    await insert('meanwhile');
    await client.received(2);
    await until(async () => (await listeners()).some((pid) => pid !== killed));
    await insert('after');
    await client.received(3);

    await sql.begin(async (tx) => {
      // Another session holds the lock, so that nobody notifies.
      await tx`select pg_advisory_xact_lock(hashtext('changes notify'), 0)`;
      await insert('unheard');
      await client.received(4);
    });
    expect(namesOf(client)).toEqual(['before', 'meanwhile', 'after', 'unheard']);
  });

  it('gets a change by notification and not only by polling once a second', async () => {
    const client = await follow('?after=now');
    const tookMs: number[] = [];
    for (let round = 1; round <= 5; round++) {
      const began = performance.now();
      await insert('heard');
      await client.received(round);
      tookMs.push(performance.now() - began);
    }
    // Without a notification the next poll would come almost a second later.
    expect(Math.min(...tookMs.slice(1))).toBeLessThan(500);
  });

  it('stays open while the database is unavailable, and continues afterwards', async () => {
    const database = await createTestDatabase();
    const proxy = await startProxy(database.url);
    const behind = await startService({ DATABASE_URL: proxy.url });
    const there = postgres(database.url, { max: 1 });
    atEnd(async () => {
      await there.end();
      await behind.close();
      proxy.close();
      await database.drop();
    });
    const client = await follow('?after=now', {}, behind);
    await insert('before', there);
    await client.received(1);
    proxy.refuse();
    for (let round = 0; round < 300; round++) await insert(`away ${round}`, there);
    await sleep(1500);
    expect([client.hasEnded, client.events.length]).toEqual([false, 1]);
    await proxy.accept();
    await insert('back', there);
    await client.received(302);
    expect(namesOf(client)).toEqual([
      'before',
      ...Array.from({ length: 300 }, (_, round) => `away ${round}`),
      'back',
    ]);
  });

  it('ends when the application closes, and the shutdown does not wait for it', async () => {
    const closing = await startService();
    const client = await follow('?after=now', {}, closing);
    await closing.close();
    await until(() => client.hasEnded);
    expect(client.response.complete).toBe(true);
  });

  it('that begins during a shutdown ends at once, so that its client reconnects', async () => {
    const stopping = await startService();
    atEnd(() => stopping.close());
    await stopping.app.get(ChangeStreams).stop();
    const client = await follow('?after=now', {}, stopping);
    await until(() => client.hasEnded);
    expect([client.response.statusCode, client.response.complete]).toEqual([200, true]);
    expect(client.lastEventId).not.toBe('');
  });

  it('ends at once on SIGTERM, so that the shutdown does not wait, and continues at the next service', async () => {
    const database = await createTestDatabase();
    const there = postgres(database.url, { max: 1 });
    atEnd(async () => {
      await there.end();
      await killServices();
      await database.drop();
    });
    const first = await startProcess({ DATABASE_URL: database.url });
    const client = await follow('?after=now', {}, { url: await first.url });
    await insert('before', there);
    await client.received(1);
    const began = performance.now();
    first.send('SIGTERM');
    await until(() => client.hasEnded);
    expect(client.response.complete).toBe(true);
    expect(await first.ended).toBe(0);
    expect(performance.now() - began).toBeLessThan(8000);
    expect(first.errors()).toBe('');

    await insert('meanwhile', there);
    const second = await startProcess({ DATABASE_URL: database.url });
    const again = await follow(
      '',
      { 'Last-Event-ID': client.lastEventId },
      { url: await second.url },
    );
    await insert('after', there);
    await again.received(2);
    expect(namesOf(again)).toEqual(['meanwhile', 'after']);
  }, 60_000);

  it('polls once a second on the pool of a host', async () => {
    const database = await createTestDatabase();
    const client = postgres(database.url, { max: 2, onnotice: () => {} });
    @Module({
      imports: [
        DatabaseModule.forRoot({ db: drizzle(client), name: 'catalogue' }),
        ProjectsModule.forDatabase('catalogue'),
      ],
    })
    class HostModule {}
    const app = await NestFactory.create(HostModule, { logger: false });
    await app.listen(0, '127.0.0.1');
    atEnd(async () => {
      await client.end();
      await database.drop();
    });
    const events = await openEvents(`${await app.getUrl()}/projects/changes?after=now`);
    await until(() => events.lastEventId !== '');
    const other = postgres(database.url, { max: 1 });
    for (const name of ['one', 'two']) {
      await insert(name, other);
      await events.received(name === 'one' ? 1 : 2);
    }
    expect(namesOf(events)).toEqual(['one', 'two']);
    await other.end();
    await app.close();
    await until(() => events.hasEnded);
  });

  it('polls once a second and does not listen behind a transaction pooler', async () => {
    const pooled = await startService({ DATABASE_PREPARE: 'false' });
    const there = postgres(pooled.database.url, { max: 1 });
    atEnd(async () => {
      await there.end();
      await pooled.close();
    });
    const client = await follow('?after=now', {}, pooled);
    await insert('seen', there);
    await client.received(1);
    expect(await listeners(there)).toEqual([]);
  });

  it('sends a comment every 15 seconds', async () => {
    await until(() => silent.comments > 0);
    expect(silent.hasEnded).toBe(false);
  });
});
