import dns from 'node:dns';
import { once } from 'node:events';
import net from 'node:net';
import { jest } from '@jest/globals';
import { sql } from 'drizzle-orm';
import type { Db } from '../../src/db/connection.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import {
  atEnd,
  codeOf,
  connect,
  connectPlainly,
  endEachTest,
  sleep,
  timeOf,
  until,
} from '../support/connections.js';
import { startProxy } from '../support/proxy.js';

let cluster: Cluster;
endEachTest();

const write = (db: Db, n: number) => db.execute(sql`insert into writes values (${n})`);
/** Listens on an address and forwards to a server; resolves with the port. */
async function forwardFrom(address: string, port: number, url: string): Promise<number> {
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(new URL(url).port), '127.0.0.1');
    client.pipe(upstream).pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
  });
  atEnd(() => server.close());
  await once(server.listen(port, address), 'listening');
  return (server.address() as net.AddressInfo).port;
}

const inRecovery = async (db: Db) =>
  (await db.execute(sql`select pg_is_in_recovery() as standby`))[0]!.standby;

describe('a primary and its standby', () => {
  beforeAll(async () => {
    cluster = await startCluster();
    const admin = connectPlainly(cluster.primary);
    await admin`create table writes (n int primary key)`;
    await until(() =>
      connectPlainly(cluster.standby)`select from writes`.then(
        () => true,
        () => false,
      ),
    );
  });
  afterAll(() => cluster.stop());

  it('get all writes on the primary when the standby is named first', async () => {
    const { db } = connect({ url: cluster.both('standby', 'primary'), max: 4 });
    const codes = Array.from({ length: 20 }, (_, i) => codeOf(write(db, i)));
    expect(new Set(await Promise.all(codes))).toEqual(new Set(['none']));
    expect(await inRecovery(db)).toBe(false);
  });

  it('get all writes on the primary when one host name has both addresses', async () => {
    if (process.platform !== 'linux') return console.warn('Skipped: only Linux has 127.0.0.2.');
    const toStandby = await forwardFrom('127.0.0.1', 0, cluster.standby);
    await forwardFrom('127.0.0.2', toStandby, cluster.primary);
    const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }));
    const lookup = jest
      .spyOn(dns, 'lookup')
      .mockImplementation(((_: string, __: object, onResult: (e: null, all: object[]) => void) =>
        setImmediate(onResult, null, addresses)) as never);
    atEnd(() => lookup.mockRestore());
    const url = new URL(cluster.primary);
    url.host = `pair.test:${toStandby}`;
    const { db } = connect({ url: url.href });
    expect(await codeOf(write(db, 400))).toBe('none');
    addresses.pop();
    const alone = connect({ url: url.href });
    expect(await codeOf(write(alone.db, 401))).toBe('database_unavailable');
    expect(await timeOf(write(alone.db, 401))).toBeLessThan(500);
  });

  it('are refused at once without a primary, unless the connection only reads', async () => {
    const url = cluster.both('standby', 'standby');
    const { db, stats } = connect({ url });
    expect(await codeOf(write(db, 100))).toBe('database_unavailable');
    expect(await timeOf(write(db, 100))).toBeLessThan(500);
    expect(stats()).toMatchObject({ open: 0, opening: 0, waiting: 0 });

    const reader = connect({ url: cluster.standby, accept_standby: true, max: 1 });
    expect(await inRecovery(reader.db)).toBe(true);
    expect(await codeOf(write(reader.db, 100))).toBe('database_unavailable');
    expect(reader.stats()).toMatchObject({ open: 1 });
  });

  it('get a new session on the primary when a server stops accepting writes', async () => {
    const { db, stats } = connect({ url: cluster.primary, max: 1 });
    await write(db, 200);
    await db.execute(sql`set default_transaction_read_only = on`);
    expect(await codeOf(write(db, 201))).toBe('database_unavailable');
    expect(stats()).toMatchObject({ open: 0 });
    expect(await codeOf(write(db, 201))).toBe('none');
  });

  it('cost one deadline when one is silent, and its idle sessions are closed together', async () => {
    const proxy = await startProxy(cluster.primary);
    atEnd(() => proxy.close());
    const { db, stats } = connect({ url: proxy.url, max: 5, statement_timeout_ms: 200 });
    await until(async () => {
      await Promise.all(Array.from({ length: 5 }, () => db.execute(sql`select pg_sleep(0.01)`)));
      return stats().idle === 5;
    });
    proxy.freeze();
    expect(await codeOf(write(db, 300))).toBe('database_unavailable');
    expect(stats()).toMatchObject({ open: 0, idle: 0 });
    proxy.thaw();
    expect(await codeOf(write(db, 301))).toBe('none');
  });
});

describe('a primary that fails while its standby is synchronous', () => {
  beforeAll(async () => {
    cluster = await startCluster({ synchronous_commit: 'on' });
    const admin = connectPlainly(cluster.primary);
    await admin`create table writes (n int primary key)`;
    await admin.unsafe(`alter system set synchronous_standby_names = '*'`);
    await admin`select pg_reload_conf()`;
    await until(
      async () =>
        (await admin`show synchronous_standby_names`)[0]!.synchronous_standby_names === '*',
    );
  });
  afterAll(() => cluster.stop());

  it('is replaced by the promoted standby within a second, and no acknowledged write is lost', async () => {
    const { db } = connect({ url: cluster.both('primary', 'standby'), max: 2 });
    const acknowledged: number[] = [];
    let writing = true;
    const writer = (async () => {
      for (let n = 0; writing; n++) {
        if ((await codeOf(write(db, n))) === 'none') acknowledged.push(n);
        else await sleep(10);
      }
    })();
    await until(() => acknowledged.length > 50);
    await cluster.kill('primary');
    await sleep(200);
    const before = acknowledged.length;
    await sleep(200);
    expect(acknowledged).toHaveLength(before);

    await cluster.promote();
    const promoted = performance.now();
    await until(() => acknowledged.length > before);
    expect(performance.now() - promoted).toBeLessThan(1000);
    await until(() => acknowledged.length > before + 20);
    writing = false;
    await writer;
    const rows = await connectPlainly(cluster.standby)`select n from writes`;
    expect(rows.map((row) => row.n as number)).toEqual(expect.arrayContaining(acknowledged));
  });
});
