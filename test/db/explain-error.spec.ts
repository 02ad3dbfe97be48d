import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sql } from 'drizzle-orm';
import request from 'supertest';
import { createApplication } from '../../src/application.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import { connectionLost } from '../../src/db/driver/session-errors.js';
import { asDataError, DataError } from '../../src/db/errors.js';
import { explained } from '../../src/db/embedded/refused-access.js';
import { onServer } from '../../src/db/embedded/test-database.js';
import { migrate } from '../../src/db/migrate.js';
import { describeError, describeErrorPublicly } from '../../src/db/explain-error.js';
import { runCli } from '../support/cli.js';
import { atEnd, connect, endEachTest } from '../support/connections.js';
import { emptyDatabase } from '../support/migrations.js';

const ROLE = `told_${process.pid}`;
const PASSWORD = 'secret-of-the-role';

/** A web server, which may listen on another port of a machine. */
const web = createServer((_req, res) => res.end());
let webPort: number;
beforeAll(async () => {
  await once(web.listen(0, '127.0.0.1'), 'listening');
  webPort = (web.address() as AddressInfo).port;
});
afterAll(() => web.close());

endEachTest();
beforeAll(() => runOnServer(`create role ${ROLE} login password '${PASSWORD}'`));
afterAll(() => runOnServer(`drop role ${ROLE}`));

/** Opens its own connection: those of tests are closed before `afterAll`. */
function runOnServer(statement: string): Promise<void> {
  return onServer(process.env.TEST_DATABASE_URL!, [statement]);
}

async function urlWith(change: (url: URL) => void): Promise<string> {
  const url = new URL(await emptyDatabase());
  url.username = ROLE;
  url.password = PASSWORD;
  change(url);
  return url.href;
}

async function cli(url: string, command: string) {
  const { status, stderr } = await runCli([command], { variables: { DATABASE_URL: url } });
  return { status, stderr };
}

/** Returns the errors of /health/ready about the database. */
async function readinessOf(url: string): Promise<string> {
  const app = await createApplication(
    validateEnvironment({ DATABASE_URL: url, MIGRATIONS: 'verify', LOG_LEVEL: 'fatal' }),
  );
  atEnd(() => app.close());
  await app.listen(0, '127.0.0.1');
  const { body } = await request(await app.getUrl())
    .get('/health/ready')
    .expect(503);
  return (body.errors as { message: string }[]).map(({ message }) => message).join();
}

describe.each([
  [
    'the wrong password',
    (url: URL) => void (url.password = 'wrong-secret'),
    '28P01',
    'Check user and password',
  ],
  [
    'a role that does not exist',
    (url: URL) => void (url.username = 'nobody_at_all'),
    '28P01',
    'Check user and password',
  ],
  [
    'a database that does not exist',
    (url: URL) => void (url.pathname = 'nowhere'),
    '3D000',
    'Create it',
  ],
  [
    'a port where nothing listens',
    (url: URL) => void (url.port = '1'),
    'ECONNREFUSED',
    'Check host and port',
  ],
  [
    'TLS to a server without TLS',
    (url: URL) => void (url.search = '?sslmode=require'),
    'NO_TLS',
    'write sslmode=disable',
  ],
  [
    'a server that is not PostgreSQL',
    (url: URL) => void (url.port = String(webPort)),
    'NOT_POSTGRESQL',
    'Check that PostgreSQL listens',
  ],
  [
    'TLS for a server that is not PostgreSQL',
    (url: URL) => void Object.assign(url, { port: webPort, search: '?sslmode=require' }),
    'NOT_POSTGRESQL',
    'Check that PostgreSQL listens',
  ],
])('with %s', (_name, change, code, remedy) => {
  it('the CLI and readiness report the code and the remedy, and no secret', async () => {
    const url = await urlWith(change);
    const { status, stderr } = await cli(url, 'migrate');
    const ready = await readinessOf(url);
    expect(status).toBe(1);
    for (const text of [stderr, ready]) {
      expect(text).toContain(code);
      expect(text).toContain(remedy);
      expect(text).not.toMatch(/secret|Failed query|select|insert/i);
    }
    expect(ready).not.toMatch(new RegExp(`${ROLE}|nobody_at_all|nowhere|127\\.0\\.0\\.1`));
  });
});

it('a schema that does not exist is named, and tables of another schema are not', async () => {
  const url = new URL(await emptyDatabase());
  await migrate({ url: url.href });
  url.search = '?search_path=nowhere';
  const { status, stderr } = await cli(url.href, 'migrate');
  expect(status).toBe(1);
  expect(stderr).toMatch(/\(3F000\)\. Create a schema that search_path names/);
  expect(await readinessOf(url.href)).toMatch(/^pending: /);
});

it('a directory of the embedded PostgreSQL with another owner is reported with the remedies', async () => {
  const refusal = { code: 'EACCES', path: '/proc/1/environ' };
  const error = Object.assign(new Error('EACCES: permission denied'), refusal);
  const told = describeError(await explained(error, '/proc'));
  expect(told).toMatch(
    /^The embedded PostgreSQL cannot use \/proc \(EACCES: permission denied\): /,
  );
  expect(told).toContain('set EMBEDDED_POSTGRES_DIR to a directory that you may write to');
});

it('a role without rights gets the name of the missing right and of the migration', async () => {
  const url = await urlWith(() => {});
  const { status, stderr } = await cli(url, 'migrate');
  expect(status).toBe(1);
  expect(stderr).toMatch(/^permission denied for schema public \(42501\)\. Grant it .*Roles/m);
  expect(stderr).not.toContain('create table');
});

it.each([
  ['create extension nosuch', /"nosuch" is not available \(0A000\)\. Install the extensions/],
  [
    'create table t (a text); create index on t using gin (a nosuch_ops)',
    /operator class "nosuch_ops" does not exist .*\(42704\)\. .*pg_trgm/,
  ],
  ["select 'hidden words'::int", /^invalid input syntax for type integer: "…" \(22P02\)\.$/],
  [
    "do $$ begin raise exception 'hidden words'; end $$",
    /^The database reported an error \(P0001\)\.$/,
  ],
  ["select to_tsquery('hidden words')", /^syntax error in tsquery: "…" \(42601\)\.$/],
  ['selec 1', /^syntax error at or near "selec" \(42601\)\.$/],
])('%s is reported without the statement and its values', async (statement, expected) => {
  const { db } = connect({ url: await emptyDatabase() });
  const error: unknown = await db.execute(sql.raw(statement)).catch((reason: unknown) => reason);
  expect(describeError(error)).toMatch(expected);
  expect(describeErrorPublicly(error)).not.toMatch(/nosuch|hidden words|selec/);
});

it('an error without a database code is reported by its message', () => {
  const busy = new DataError('pool_exhausted', 'All database connections are busy.');
  const failed = new Error('Failed query: select', { cause: busy });
  expect(describeError(failed)).toBe('All database connections are busy.');
  const missing = Object.assign(new Error('ENOENT: no such file'), {
    code: 'ENOENT',
    syscall: 'open',
  });
  expect(describeError(missing)).toBe('ENOENT: no such file');
  expect(asDataError(missing)).toBeUndefined();
  expect(describeError('text')).toBe('text');
});

it.each([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CRL_HAS_EXPIRED',
  'INVALID_CA',
])('a certificate that Node refuses with %s is reported with the remedy', (code) => {
  const lost = connectionLost(Object.assign(new Error('the reason of Node'), { code }));
  expect(describeError(lost)).toMatch(`the reason of Node (${code}). Check sslmode`);
  expect(describeErrorPublicly(lost)).toMatch(`is not trusted (${code}). Check sslmode`);
});

const error = (message: string, cause?: unknown) => new Error(message, { cause });
it.each([
  [
    'a sentence and its cause',
    error('initdb failed.', error('disk full')),
    'initdb failed: disk full',
  ],
  [
    'a cause that the sentence contains',
    error('Cannot read x: gone', error('gone')),
    'Cannot read x: gone',
  ],
  [
    'three levels',
    error('fetch failed', error('not sent', error('closed.'))),
    'fetch failed: not sent: closed.',
  ],
  [
    'a level without a message',
    error('fetch failed', error('', error('closed'))),
    'fetch failed: closed',
  ],
  ["drizzle's wrapper", error('Failed query: select 1\nparams: secret', error('closed')), 'closed'],
  ['a cause that is a text', error('not sent', 'closed'), 'not sent'],
])('an error and its causes are joined to one sentence: %s', (_name, wrapped, told) => {
  expect(describeError(wrapped)).toBe(told);
});
