import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { rootCertificates } from 'node:tls';
import { Test } from '@nestjs/testing';
import { sql } from 'drizzle-orm';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import { createDatabaseConnection } from '../../src/db/connection.js';
import { DatabaseModule } from '../../src/db/database.module.js';
import { parseDatabaseUrl } from '../../src/db/driver/database-url.js';
import { codeOf, connect, endEachTest } from '../support/connections.js';
import { startCluster } from '../support/cluster.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeAll(async () => (database = await createTestDatabase()));
afterAll(() => database.drop());
endEachTest();

const plain = { tls: { mode: 'disable' } };

describe('a database URL', () => {
  it.each([
    ['postgres://h', { targets: [{ host: 'h', port: 5432, ...plain }] }],
    [
      'postgresql://me:p%40s%2Fs@h:6000/my%20db',
      {
        ...{ user: 'me', password: 'p@s/s', database: 'my db' },
        targets: [{ host: 'h', port: 6000, ...plain }],
      },
    ],
    ['postgres://me:a#b?c:d%25@h/db', { password: 'a#b?c:d%', database: 'db' }],
    ['postgres://[::1]:6000/db', { targets: [{ host: '::1', port: 6000, ...plain }] }],
    [
      'postgres://a:1,[::1],b:3/db',
      {
        targets: [
          { host: 'a', port: 1, ...plain },
          { host: '::1', port: 5432, ...plain },
          { host: 'b', port: 3, ...plain },
        ],
      },
    ],
    [
      'postgres://%2Fvar%2Frun:6000/db',
      { targets: [{ host: '/var/run', port: 6000, path: '/var/run/.s.PGSQL.6000', ...plain }] },
    ],
    [
      'postgres://me@/db?host=/tmp&port=6000&sslmode=require',
      {
        ...{ user: 'me', database: 'db' },
        targets: [{ host: '/tmp', port: 6000, path: '/tmp/.s.PGSQL.6000', ...plain }],
      },
    ],
    [
      'postgres:///db?host=a,b&port=7',
      {
        targets: [
          { host: 'a', port: 7, ...plain },
          { host: 'b', port: 7, ...plain },
        ],
      },
    ],
    ['postgres://h?user=u&password=p&dbname=d', { user: 'u', password: 'p', database: 'd' }],
    [
      'postgres://h/db?search_path=s,public&my.setting=1&options=-c%20jit%3Doff&application_name=x',
      {
        settings: {
          ...{ search_path: 's,public', 'my.setting': '1', options: '-c jit=off' },
          application_name: 'x',
        },
      },
    ],
    [
      'postgres://h/db?channel_binding=prefer&gssencmode=disable&target_session_attrs=read-write',
      { settings: {} },
    ],
    [' postgres://h/db\n', { database: 'db', targets: [{ host: 'h', port: 5432, ...plain }] }],
    [
      'postgres://[fe80::1%25eth0]/db',
      { targets: [{ host: 'fe80::1%eth0', port: 5432, ...plain }] },
    ],
    ['postgres://h/db?options=endpoint%3Dx', { settings: { options: 'endpoint=x' } }],
    ['postgres://h/db?connect_timeout=3', { connectTimeoutMs: 3000 }],
    ['postgres://h/db?connect_timeout=0', { connectTimeoutMs: 0 }],
    [
      'postgres://u:@h/?user=&password=&dbname=',
      { user: undefined, password: undefined, database: undefined },
    ],
    [
      'postgres:///db?host=::1,fe80::1%25eth0',
      {
        targets: [
          { host: '::1', port: 5432, ...plain },
          { host: 'fe80::1%eth0', port: 5432, ...plain },
        ],
      },
    ],
  ])('%s has the same meaning as for libpq', (url, expected) => {
    expect(parseDatabaseUrl(url)).toMatchObject(expected);
  });

  const prefer = { mode: 'prefer', options: { rejectUnauthorized: false } };
  const unchecked = { mode: 'require', options: { rejectUnauthorized: false } };
  const checked = { mode: 'require', options: { rejectUnauthorized: true } };

  it.each([
    ['', plain.tls],
    ['sslmode=disable', plain.tls],
    ['ssl=false', plain.tls],
    ['sslmode=allow', prefer],
    ['sslmode=prefer', prefer],
    ['sslmode=require', unchecked],
    ['sslmode=no-verify', unchecked],
    ['ssl=true', unchecked],
    ['sslmode=verify-full', checked],
    ['sslrootcert=system', checked],
  ])('with %s has the corresponding TLS settings', (query, tls) => {
    expect(parseDatabaseUrl(`postgres://h/db?${query}`).targets[0]!.tls).toEqual(tls);
  });

  it('with sslrootcert verifies the authority, and with verify-full also the host name', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'url-'));
    const file = path.join(directory, 'ca.crt');
    await writeFile(file, rootCertificates[0]!);
    const tlsOf = (mode: string) =>
      parseDatabaseUrl(`postgres://h/db?sslmode=${mode}&sslrootcert=${file}`).targets[0]!.tls;
    for (const mode of ['require', 'verify-ca']) {
      expect(tlsOf(mode).options).toEqual({
        ca: Buffer.from(rootCertificates[0]!),
        rejectUnauthorized: true,
        checkServerIdentity: expect.any(Function),
      });
    }
    expect(tlsOf('verify-full').options).not.toHaveProperty('checkServerIdentity');
  });

  it.each(['sslrootcert', 'sslcert', 'sslkey', 'sslcrl'])(
    'is refused if the file in %s has no usable content',
    async (name) => {
      const directory = await mkdtemp(path.join(tmpdir(), 'url-'));
      const file = path.join(directory, 'file');
      await writeFile(file, 'secret');
      const parse = () => parseDatabaseUrl(`postgres://h/db?sslmode=verify-full&${name}=${file}`);
      expect(parse).toThrow(/sslcrl whose content cannot be used \(ERR_\w+\)\.$/);
    },
  );

  it.each([
    ['', 'is missing'],
    ['localhost:5432/secret', 'must be a URL'],
    ['mysql://u:secret@h/db', 'must be a URL'],
    ['jdbc:postgresql://h/db?password=secret', 'must be a URL'],
    ['postgres://', 'has no host'],
    ['postgres://u:secret@/db', 'has no host'],
    ['postgres://u:secret@h1,/db', 'has no host'],
    ['postgres://u:secret@h:port/db', 'has a port'],
    ['postgres://u:secret@h:70000/db', 'has a port'],
    ['postgres://u:secret@h:1/db?port=1,2', 'one port for all hosts'],
    ['postgres://u:sec/ret@h/db', 'write @ as %40, / as %2F'],
    ['postgres://u:sec@ret@h/db', 'write @ as %40, / as %2F'],
    ['postgres://u:1/secret?a=b@h/db', 'write @ as %40, / as %2F'],
    ['postgres://u:se%cret@h/db', 'write % as %25'],
    ['postgres://u:secret@::1/db', 'IPv6 addresses in brackets'],
    ['postgres://u:secret@h/db?schema=public', '"schema" that is not supported: write search_path'],
    [
      'postgres://u:secret@h/db?pgbouncer=true',
      '"pgbouncer" that is not supported: remove it and set',
    ],
    ['postgres://u:secret@h/db?channel_binding=require', 'a value of "channel_binding"'],
    ['postgres://u:secret@h/db?gssencmode=require', 'a value of "gssencmode"'],
    ['postgres://u:secret@h/db?target_session_attrs=any', 'a value of "target_session_attrs"'],
    ['postgres://u:secret@h/db?target_session_attrs=standby', 'accept_standby'],
    ['postgres://u:secret@h/db?sslmode=secret', 'has an sslmode that is not one of'],
    ['postgres://u:secret@h/db?sslmod=require', '"sslmod" that is not supported'],
    ['postgres://u:secret@h/db?constructor=1', '"constructor" that is not supported'],
    ['postgres://u:secret@h/db?ssl=secret', 'neither true nor false'],
    ['postgres://u:secret@h/db?sslmode=verify-ca', 'needs a certificate file in sslrootcert'],
    ['postgres://u:secret@h/db?sslmode=require&sslrootcert=system', 'needs sslmode=verify-full'],
    [
      'postgres://h/db?sslmode=verify-full&sslrootcert=/secret',
      'names a file in sslrootcert that cannot',
    ],
    ['postgres://u:secret@h/db secret', 'write a space as %20'],
    ['host=h password=secret dbname=db', 'must be a URL'],
    ['postgres://u:secret@h/db?sslrootcert=/secret', '"sslrootcert" and no sslmode: add sslmode='],
    ['postgres://u:secret@h/db?ssl_min_protocol_version=TLSv1.2', 'is not supported: remove it.'],
    ['postgres://u:secret@h/db?keepalives_idle=30', 'is not supported: remove it.'],
    [
      'postgres://u:secret@h/db?SSLMODE=secret',
      '"SSLMODE" that is not supported: write sslmode, in',
    ],
    ['postgres://u:secret@h/db?Search_Path=secret', 'write search_path, in lower case'],
    ['postgres://u:secret@h/db?PGBouncer=secret', 'remove it and set DATABASE_PREPARE=false'],
    ['postgres://u:secret@h/db?SslSni=secret', '"SslSni" that is not supported: remove it.'],
    ['postgres:///db?host=[::1]&password=secret', 'addresses without brackets'],
    ['postgres:///db?host=a:1,b:2&password=secret', 'write ?host=a,b&port=1,2'],
    ['"postgres://u:secret@h/db"', ', without quotes'],
    ['postgres://u:secret@h/db?connect_timeout=-1', 'not a number of seconds'],
    ['postgres://u:secret@h/db?connect_timeout=1.5', 'not a number of seconds'],
    ['postgres://u:secret@h/db?hostaddr=1.2.3.4', 'write the address as the host'],
    ['postgres://u:secret@h/db?service=secret', 'write its host, user and database'],
    ['postgres://u:secret@h/db?passfile=/secret', 'PGPASSWORD'],
    ['postgres://u:secret@h/db?TimeZone=secret', 'remove it: the service asks for times in UTC'],
    ...[
      '-c%20statement_timeout%3D7',
      '-cstatement_timeout=7',
      '-c%20jit=off%20--statement-timeout=7',
    ].map((options) => [
      `postgres://u:secret@h/db?options=${options}`,
      'sets "statement_timeout" in its options, which is not supported: remove it and set',
    ]),
    ['postgres://u:secret@h/db?connect_timeout=secret', 'not a number of seconds'],
    ['postgres://u:secret@h/db?statement_timeout=9', 'set DATABASE_STATEMENT_TIMEOUT_MS'],
  ])('%s is refused by name and not repeated', (url, fault) => {
    const caught = (() => {
      try {
        createDatabaseConnection({ url });
      } catch (error) {
        return error as Error;
      }
    })();
    expect(caught?.message).toContain(fault);
    expect(JSON.stringify(caught, Object.getOwnPropertyNames(caught))).not.toMatch(
      /secret|sec.ret/,
    );
    if (!url) return;
    const name = caught!.message.replace(/^The database URL (.*)\.$/, 'DATABASE_URL $1');
    expect(() => validateEnvironment({ DATABASE_URL: url })).toThrow(name);
  });

  it('is required when a host application starts', async () => {
    for (const url of [undefined, '', null, 5]) {
      const starting = Test.createTestingModule({
        imports: [DatabaseModule.forRoot({ url: url as never })],
      }).compile();
      await expect(starting).rejects.toThrow('The database URL is missing');
    }
  });

  it('reaches a server by a Unix socket, by IPv6 brackets and by a name with a space', async () => {
    const cluster = await startCluster({
      unix_socket_directories: '/tmp',
      listen_addresses: '127.0.0.1,::1',
    });
    try {
      const { password, port } = new URL(cluster.primary);
      const admin = connect({ url: cluster.primary });
      await admin.db.execute(sql`create database "my db"`);
      for (const url of [
        `postgres://postgres:${password}@%2Ftmp:${port}/my%20db`,
        `postgres://postgres:${password}@/my%20db?host=/tmp&port=${port}`,
        `postgres:///my%20db?host=%2Ftmp&port=${port}&user=postgres&password=${password}`,
        `postgres://postgres:${password}@[::1]:${port}/my%20db`,
        `postgres://postgres:${password}@127.0.0.1:${port}/my%20db?sslmode=prefer`,
      ]) {
        const { db } = connect({ url });
        expect(await db.execute(sql`select current_database() as name`)).toEqual([
          { name: 'my db' },
        ]);
      }
    } finally {
      await cluster.stop();
    }
  });
});

describe('time limits', () => {
  it('of more than 24 days are not shortened to one millisecond', async () => {
    const forever = 2 ** 40;
    const { db } = connect({
      url: database.url,
      connect_timeout: forever,
      statement_timeout_ms: forever,
      transaction_timeout_ms: Infinity,
      acquire_timeout_ms: forever,
    });
    const transaction = db.transaction((tx) => tx.execute(sql`select pg_sleep(0.1)`));
    expect(await codeOf(transaction)).toBe('none');
  });

  it('are refused by name when they are not numbers', () => {
    for (const max of [NaN, -1]) {
      expect(() => createDatabaseConnection({ url: database.url, max })).toThrow(
        'The database setting max must be 0 or a positive number.',
      );
    }
  });
});
