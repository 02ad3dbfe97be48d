import { execFile, spawn } from 'node:child_process';
import dns from 'node:dns';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm, stat } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { jest } from '@jest/globals';
import { sql } from 'drizzle-orm';
import type { Db } from '../../src/db/connection.js';
import {
  startEmbeddedPostgres,
  type EmbeddedPostgres,
} from '../../src/db/embedded/embedded-postgres.js';
import {
  atEnd,
  backendOf,
  codeOf,
  connect,
  connectPlainly,
  endEachTest,
  sleep,
  timeOf,
  until,
} from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { withProgram } from '../support/needs.js';
import { startProxy } from '../support/proxy.js';

const openssl = withProgram('openssl');

let database: TestDatabase;
let url: string;

beforeAll(async () => {
  database = await createTestDatabase();
  url = database.url;
});
afterAll(() => database.drop());
endEachTest();

const query = (db: Db) => db.execute(sql`select 1`);
const many = (db: Db) => Promise.all(Array.from({ length: 10 }, () => codeOf(query(db))));
const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap');

async function openProxy(target = url) {
  const proxy = await startProxy(target);
  atEnd(() => proxy.close());
  return proxy;
}

describe('a server that does not answer', () => {
  it('is abandoned at the deadline and leaves no socket', async () => {
    const proxy = await openProxy();
    const before = sockets().length;
    const config = { url: proxy.url, max: 3, statement_timeout_ms: 100, connect_timeout: 2 };
    const { db, stats } = connect(config);
    await until(async () => (await many(db)).length > 0 && stats().idle === 3);
    proxy.freeze();
    const transaction = codeOf(db.transaction((tx) => query(tx)));
    const took = await timeOf(query(db));
    expect(took).toBeGreaterThan(800);
    expect(took).toBeLessThan(2000);
    expect(await transaction).toBe('database_unavailable');
    expect(await codeOf(query(db))).toBe('database_unavailable');
    await until(() => stats().open === 0 && proxy.connections() === 0);
    await until(() => sockets().length <= before);
    proxy.thaw();
    expect(await codeOf(query(db))).toBe('none');
  });

  it('delays a connection attempt at most for the acquire timeout, and does not delay the close', async () => {
    const held = new Set<net.Socket>();
    const hole = net.createServer((socket) => held.add(socket)).listen(0, '127.0.0.1');
    await once(hole, 'listening');
    atEnd(() => {
      hole.close();
      for (const socket of held) socket.destroy();
    });
    const { port } = hole.address() as net.AddressInfo;
    const { db, stats, close } = connect({
      url: `postgres://user@127.0.0.1:${port}/none`,
      acquire_timeout_ms: 300,
    });
    const took = timeOf(query(db));
    expect(await codeOf(query(db))).toBe('database_unavailable');
    expect(await took).toBeLessThan(800);
    expect(stats()).toMatchObject({ open: 0, opening: 2, waiting: 0, timeouts: 2 });
    expect(await timeOf(close())).toBeLessThan(200);
    expect(stats()).toMatchObject({ open: 0, opening: 0 });
  });

  it('and closes every connection is reported at once, and gets few connection attempts', async () => {
    let connects = 0;
    const rude = net.createServer((socket) => {
      connects++;
      socket.resume().end(); // without reading it would stay open
    });
    atEnd(() => rude.close());
    await once(rude.listen(0, '127.0.0.1'), 'listening');
    const { port } = rude.address() as net.AddressInfo;
    const { db } = connect({ url: `postgres://user@127.0.0.1:${port}/none`, max: 5 });
    const began = performance.now();
    expect(new Set(await many(db))).toEqual(new Set(['database_unavailable']));
    expect(performance.now() - began).toBeLessThan(500);
    await sleep(100);
    expect(connects).toBe(5);
  });

  it('is tried again each second, so that it is found within a second', async () => {
    // A full connection queue drops new connections, like a broken network. Without a new request the system would
    // repeat its own only after 4 seconds.
    const script = `
      const net = require('node:net');
      const server = net.createServer((client) => {
        const upstream = net.connect(${new URL(url).port}, '127.0.0.1');
        client.pipe(upstream).pipe(client);
        client.on('error', () => {}), upstream.on('error', () => {});
      }).listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
        process.stdout.write(server.address().port + '\\n');
        setTimeout(() => {
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 8000);
          process.stdout.write('listening again');
        }, 100);
      });`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    atEnd(() => child.kill());
    const [port] = (await once(child.stdout, 'data')) as [Buffer];
    await sleep(200);
    const fillers = Array.from({ length: 3 }, () => net.connect(Number(port), '127.0.0.1'));
    fillers.forEach((filler) => filler.on('error', () => {}));
    atEnd(() => fillers.forEach((filler) => filler.destroy()));
    await sleep(100);

    const through = new URL(url);
    through.port = String(Number(port));
    const { db } = connect({ url: through.href, acquire_timeout_ms: 0 });
    const answered = codeOf(query(db));
    await once(child.stdout, 'data');
    const recovery = performance.now();
    expect(await answered).toBe('none');
    expect(performance.now() - recovery).toBeLessThan(1300);
  });
});

describe('a name server', () => {
  it.each(['slow.test', 'slow-pair.test'])('may need more than a second: %s', async (name) => {
    const addresses = name.includes('pair')
      ? [{ address: '::1', family: 6 }, { address: '127.0.0.1', family: 4 }] // prettier-ignore
      : [{ address: '127.0.0.1', family: 4 }];
    const lookup = jest
      .spyOn(dns, 'lookup')
      .mockImplementation(((
        _: string,
        __: object,
        onResult: (error: null, result: object[]) => void,
      ) => setTimeout(onResult, 1800, null, addresses)) as never);
    atEnd(() => lookup.mockRestore());
    const named = new URL(url);
    named.hostname = name;
    const { db } = connect({ url: named.href, acquire_timeout_ms: 0 });
    expect(await codeOf(query(db))).toBe('none');
    expect(lookup).toHaveBeenCalledTimes(1);
  });
});

describe('the pool after an outage', () => {
  it('answers the first query at once', async () => {
    const proxy = await openProxy();
    const { db, stats } = connect({ url: proxy.url });
    await many(db);
    proxy.refuse();
    await sleep(20);
    const began = performance.now();
    expect(new Set(await many(db))).toEqual(new Set(['database_unavailable']));
    expect(new Set(await many(db))).toEqual(new Set(['database_unavailable']));
    expect(performance.now() - began).toBeLessThan(500);
    expect(stats()).toMatchObject({ open: 0, waiting: 0 });

    await proxy.accept();
    expect(await timeOf(query(db))).toBeLessThan(1000);
    expect(new Set(await many(db))).toEqual(new Set(['none']));
  });

  it('keeps the process alive when the outage began while connections were opened', async () => {
    const proxy = await openProxy();
    for (const moment of ['user', 'pg_type']) {
      proxy.resetOn(moment);
      const { db } = connect({ url: proxy.url });
      expect(new Set(await many(db))).toEqual(new Set(['database_unavailable']));
      proxy.resetOn(undefined);
      expect(await codeOf(query(db))).toBe('none');
    }
  });
});

describe('several hosts', () => {
  const hosts = (...ports: (number | string)[]) => {
    const target = new URL(url);
    const { username, password, pathname } = target;
    const list = ports.map((port) => `127.0.0.1:${port}`).join(',');
    return `postgres://${username}${password && `:${password}`}@${list}${pathname}`;
  };

  it('are tried in turn, also after refusing and silent ones, until the primary is found', async () => {
    const { port } = new URL(url);
    for (const search of ['', '?target_session_attrs=primary']) {
      const { db } = connect({ url: hosts(1, port) + search });
      expect(new Set(await many(db))).toEqual(new Set(['none']));
    }
    const silent = await openProxy();
    silent.freeze();
    const config = { url: hosts(new URL(silent.url).port, port), connect_timeout: 0.4 };
    const { db } = connect(config);
    expect(await codeOf(query(db))).toBe('none');
    expect(new Set(await many(db))).toEqual(new Set(['none']));
  });
});

describe('a restarted server', () => {
  let directory: string;
  let server: EmbeddedPostgres;
  const start = () => startEmbeddedPostgres({ directory, settings: { fsync: 'off' } });

  beforeAll(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'projects service failure '));
    await chmod(directory, 0o755);
    server = await start();
  });
  afterAll(async () => {
    await server.stop();
    await rm(directory, { recursive: true });
  });

  it('gets a connection again within a second of its start', async () => {
    const proxy = await openProxy(server.url);
    const { db, stats } = connect({ url: proxy.url });
    const running = many(db);
    await running;
    const interrupted = codeOf(db.execute(sql`select pg_sleep(5)`));
    const stopping = server.stop();
    expect(await interrupted).toBe('database_unavailable');
    await stopping;
    expect(new Set(await many(db))).toEqual(new Set(['database_unavailable']));
    expect(stats()).toMatchObject({ open: 0, waiting: 0 });
    proxy.refuse();
    server = await start();
    await proxy.accept(server.url);
    expect(await timeOf(query(db))).toBeLessThan(1000);
    expect(new Set(await many(db))).toEqual(new Set(['none']));
  });

  it('gets a connection again when a backend is killed and the server restarts all of them', async () => {
    const { db } = connect({ url: server.url });
    await db.execute(sql`create table if not exists marks (note text)`);
    const transaction = codeOf(
      db.transaction(async (tx) => {
        await tx.execute(sql`insert into marks values ('before')`);
        process.kill(await backendOf(tx), 'SIGKILL');
        await tx.execute(sql`select pg_sleep(5)`);
      }),
    );
    expect(await transaction).toBe('database_unavailable');
    await until(async () => (await codeOf(query(db))) === 'none');
    expect(new Set(await many(db))).toEqual(new Set(['none']));
    expect(await db.execute(sql`select from marks`)).toHaveLength(0);
  });

  openssl.it(
    'TLS is used, verified if the URL requires it, and reports a terminated backend as the same error',
    async () => {
      const [key, certificate] = ['server.key', 'server.crt'].map((name) =>
        path.join(directory, name),
      );
      await promisify(execFile)(openssl.file, [
        ...[
          'req',
          '-x509',
          '-nodes',
          '-newkey',
          'rsa:2048',
          '-subj',
          '/CN=localhost',
          '-days',
          '1',
        ],
        ...['-keyout', key!, '-out', certificate!],
      ]);
      const { uid, gid } = await stat(path.join(directory, 'data'));
      await Promise.all([key!, certificate!].map((file) => chown(file, uid, gid)));
      await chmod(key!, 0o600);
      const admin = connectPlainly(server.url);
      for (const [name, value] of Object.entries({
        ssl_cert_file: certificate,
        ssl_key_file: key,
      })) {
        await admin.unsafe(`alter system set ${name} = '${value}'`);
      }
      await admin.unsafe('alter system set ssl = on');
      await admin`select pg_reload_conf()`;
      await until(async () => (await admin`show ssl`)[0]!.ssl === 'on');

      const proxy = await openProxy(server.url);
      const { db, stats } = connect({
        url: `${proxy.url}?sslmode=require`,
        max: 2,
        statement_timeout_ms: 100,
      });
      const [row] = await db.execute(sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`);
      expect(row).toEqual({ ssl: true });
      const transaction = codeOf(
        db.transaction(async (tx) => {
          const pid = await backendOf(tx);
          await codeOf(db.execute(sql`select pg_terminate_backend(${pid})`));
          await sleep(50);
          await query(tx);
        }),
      );
      expect(await transaction).toBe('database_unavailable');
      expect(await codeOf(query(db))).toBe('none');

      proxy.freeze();
      expect(await codeOf(query(db))).toBe('database_unavailable');
      await until(() => proxy.connections() === stats().open + stats().opening);
      proxy.thaw();
      expect(await codeOf(query(db))).toBe('none');

      const named = server.url.replace('127.0.0.1', 'localhost');
      const authority = `sslrootcert=${encodeURIComponent(certificate!)}`;
      for (const [target, search, code] of [
        [named, 'sslmode=verify-full', 'database_unavailable'],
        [named, `sslmode=verify-full&${authority}`, 'none'],
        [server.url, `sslmode=verify-full&${authority}`, 'database_unavailable'],
        [server.url, `sslmode=verify-ca&${authority}`, 'none'],
        [server.url, 'sslmode=no-verify', 'none'],
        [server.url, 'sslmode=prefer', 'none'],
      ] as const) {
        const checked = connect({ url: `${target}?${search}` });
        expect([search, await codeOf(query(checked.db))]).toEqual([search, code]);
      }
    },
  );
});
