import { once } from 'node:events';
import net from 'node:net';
import { EventSource } from 'eventsource';
import postgres from 'postgres';
import { CatchUp } from '../../src/changes/catch-up.js';
import type { ChangesFactory } from '../../src/db/entity/changes.factory.js';
import { createChangesFactory } from '../../src/db/entity/changes.factory.js';
import {
  atEnd,
  connect,
  endEachTest,
  sleep,
  until,
  waitingForLocks,
} from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { openEvents } from '../support/event-client.js';
import { killServices, startProcess } from '../support/process.js';
import { startProxy } from '../support/proxy.js';
import { startService } from '../support/service.js';

let database: TestDatabase;
let sql: postgres.Sql;
beforeEach(async () => {
  database = await createTestDatabase();
  sql = postgres(database.url, { max: 4, onnotice: () => {} });
});
afterEach(async () => {
  await sql.end();
  await database.drop();
});
endEachTest();
afterAll(killServices);

const FEED = '/api/projects/changes';
const LONG = 60_000;

const insert = (...names: string[]) =>
  sql`insert into projects (name, description, technologies)
    select name, '', '[]' from unnest(${names}::text[]) as name`;

/** The EventSource of the npm package, which gives up in the same cases as that of a browser. */
function follow(url: string) {
  const names: string[] = [];
  const source = new EventSource(url);
  atEnd(() => source.close());
  let opened = 0;
  source.addEventListener('open', () => opened++);
  for (const action of ['created', 'updated', 'deleted'])
    source.addEventListener(action, ({ data }: { data: string }) => {
      const { before, after } = JSON.parse(data) as Record<'before' | 'after', { name: string }>;
      names.push((after ?? before).name);
    });
  return { source, names, opened: () => opened };
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

describe('an EventSource', () => {
  it.each(['refuse', 'freeze'] as const)(
    'stays open while the database is unavailable (%s), and may also begin during this time',
    async (how) => {
      const proxy = await startProxy(database.url);
      atEnd(() => proxy.close());
      const service = await startService({
        DATABASE_URL: proxy.url,
        DATABASE_STATEMENT_TIMEOUT_MS: '1000',
      });
      atEnd(() => service.close());
      await insert('before');
      const early = follow(`${service.url}${FEED}`);
      await until(() => early.names.length === 1, LONG);
      proxy[how]();
      const late = follow(`${service.url}${FEED}`);
      const now = follow(`${service.url}${FEED}?after=now`);
      await until(() => late.opened() > 0 && now.opened() > 0, LONG);
      expect([late.names, now.names]).toEqual([[], []]);
      if (how === 'refuse') await proxy.accept();
      else proxy.thaw();
      await until(async () => {
        await insert('back'); // wait until the stream at the end of the feed has begun
        await sleep(100);
        return now.names.length > 0;
      }, LONG);
      await insert('last');
      const all = (await sql`select name from projects order by created_at`).map((row) => row.name);
      for (const { names } of [early, late]) {
        await until(() => names.at(-1) === 'last', LONG);
        expect([...names].sort()).toEqual([...all].sort());
      }
    },
    3 * LONG,
  );

  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'reconnects after a restart (%s) and gets each change once',
    async (signal) => {
      const PORT = String(await freePort());
      const variables = { DATABASE_URL: database.url, PORT };
      const first = await startProcess(variables);
      const client = follow(`${await first.url}${FEED}`);
      await insert('before');
      await until(() => client.names.length === 1, LONG);
      first.send(signal);
      await first.ended;
      await insert('meanwhile');
      await (
        await startProcess(variables)
      ).url;
      await insert('after');
      await until(() => client.names.length >= 3, LONG);
      expect(client.names).toEqual(['before', 'meanwhile', 'after']);
      expect(client.opened()).toBe(2);
    },
    3 * LONG,
  );

  it('reconnects after the rate limit and does not give up', async () => {
    const service = await startService({ DATABASE_URL: database.url, RATE_LIMIT: '1/2' });
    atEnd(() => service.close());
    await insert('one');
    const json = await fetch(`${service.url}${FEED}`);
    expect(json.status).toBe(200);
    // The limit applies to the address, so the stream is refused first.
    const refused = await openEvents(`${service.url}${FEED}`);
    expect(refused.response.statusCode).toBe(200);
    await until(() => refused.hasEnded);
    expect([refused.comments, refused.events]).toEqual([1, []]);
    expect((await fetch(`${service.url}${FEED}`)).status).toBe(429);
    const accepting = { headers: { Accept: 'text/event-stream' } };
    expect((await fetch(`${service.url}/api/technologies`, accepting)).status).toBe(429);
    const client = follow(`${service.url}${FEED}`);
    await until(() => client.names.length === 1, LONG);
  });

  it('reconnects when the service has too many requests, and does not count as a running request', async () => {
    const service = await startService({
      DATABASE_URL: database.url,
      MAX_CONCURRENT_REQUESTS: '1',
      OVERLOAD_HOLD_MS: '0',
      DATABASE_STATEMENT_TIMEOUT_MS: '60000',
    });
    atEnd(() => service.close());
    await insert('one');
    const held = await sql.begin(async (tx) => {
      await tx`lock table projects in access exclusive mode`;
      const list = fetch(`${service.url}/api/projects`);
      await until(async () => (await waitingForLocks(tx)).length > 0, LONG);
      const client = follow(`${service.url}${FEED}`);
      await until(() => client.opened() > 1, LONG); // it was answered with 200 and ended several times
      return { list, client };
    });
    expect((await held.list).status).toBe(200);
    await until(() => held.client.names.length === 1, LONG);
    expect((await fetch(`${service.url}/api/projects`)).status).toBe(200);
  });

  it('is served together with a thousand others that begin with old changes, while other requests are answered', async () => {
    const service = await startProcess({ DATABASE_URL: database.url });
    const url = await service.url;
    await insert(...Array.from({ length: 150 }, (_, n) => `many ${n}`));
    const clients = Array.from({ length: 1000 }, () => follow(`${url}${FEED}`));
    const ended = () => clients.every(({ names }) => names.length === 150);
    const statuses: number[] = [];
    const deadline = performance.now() + 2 * LONG;
    while (!ended() && performance.now() < deadline) {
      statuses.push((await fetch(`${url}/api/projects?limit=50`)).status);
      await sleep(20);
    }
    expect(ended()).toBe(true);
    expect(statuses.length).toBeGreaterThan(0);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(new Set(clients.map(({ opened }) => opened()))).toEqual(new Set([1]));
    for (const { names } of clients) expect(names).toEqual(clients[0]!.names);
  }, 180_000);

  it('gives up when changes that it has not received were removed', async () => {
    const service = await startService({ DATABASE_URL: database.url });
    atEnd(() => service.close());
    await insert('one');
    const { data } = (await (await fetch(`${service.url}${FEED}`)).json()) as {
      data: { cursor: string }[];
    };
    await insert('two');
    await sql`update change_expiry set position = (select max(position) from change_commits)`;
    const source = new EventSource(`${service.url}${FEED}?after=${data[0]!.cursor}`);
    atEnd(() => source.close());
    const code = await new Promise((resolve) => {
      source.addEventListener('error', (error) => resolve(error.code));
    });
    expect([code, source.readyState]).toEqual([410, EventSource.CLOSED]);
  });
});

describe('the reads of streams that catch up', () => {
  /** The real factory, with a count of its reads. */
  function counted(): {
    changes: ChangesFactory;
    reads: { now: number; most: number; all: number };
  } {
    const factory = createChangesFactory(connect({ url: database.url }).db, 'project');
    const reads = { now: 0, most: 0, all: 0 };
    const getFeedPage: ChangesFactory['getFeedPage'] = async (query) => {
      reads.all++;
      reads.most = Math.max(reads.most, ++reads.now);
      try {
        return await factory.getFeedPage(query);
      } finally {
        reads.now--;
      }
    };
    return { changes: { ...factory, getFeedPage }, reads };
  }

  it('share a page between all streams at the same position, and also with a position inside the page', async () => {
    await insert(...Array.from({ length: 250 }, (_, n) => `many ${n}`));
    const { changes, reads } = counted();
    const catchUp = new CatchUp(changes);
    const pages = await Promise.all(
      Array.from({ length: 100 }, () => catchUp.turn(() => catchUp.pageAfter(undefined))),
    );
    expect(reads.all).toBe(1);
    const { batches, next } = pages[0]!;
    await catchUp.pageAfter(batches[0]!.events[10]);
    expect(reads.all).toBe(1);
    await catchUp.pageAfter(next);
    expect(reads.all).toBe(2);
    // A position of another history, which a reader has after a restore, is also refused.
    const elsewhere = { ...batches[0]!.events[10]!, commitTime: 1 };
    await expect(catchUp.pageAfter(elsewhere)).rejects.toMatchObject({ code: 'cursor_expired' });
  });

  it('run two at a time, in the order of their requests', async () => {
    await insert(...Array.from({ length: 50 }, (_, n) => `many ${n}`));
    const { changes, reads } = counted();
    const catchUp = new CatchUp(changes);
    const { batches } = await catchUp.pageAfter(undefined);
    const served: number[] = [];
    await Promise.all(
      batches[0]!.events.map((event, order) =>
        catchUp.turn(async () => {
          served.push(order);
          await catchUp.pageAfter(event);
        }),
      ),
    );
    expect([reads.most, reads.all]).toEqual([2, 51]);
    expect(served).toEqual([...served].sort((a, b) => a - b));
  });

  it('read the last page again, because changes may have been added to it', async () => {
    const { changes } = counted();
    const catchUp = new CatchUp(changes);
    const { next } = await catchUp.pageAfter(undefined);
    await insert('new');
    expect((await catchUp.pageAfter(next)).batches).toHaveLength(1);
  });
});
