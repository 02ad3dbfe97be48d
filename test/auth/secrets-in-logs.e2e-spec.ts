import { hash } from 'node:crypto';
import postgres from 'postgres';
import { aProject } from '../support/builders.js';
import { until } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { aToken, createSigningKey, type Issuer, startIssuer } from '../support/issuer.js';
import { killServices, startProcess } from '../support/process.js';
import { exchange } from '../support/raw-http.js';

const KEY = 'psk_W3vJ8zq-The-Key-Of-Nobody-Else_0123456789';
const UNKNOWN_KEY = 'psk_Unknown-Key-That-Nobody-Has_9876543210';

let database: TestDatabase;
let issuer: Issuer;
let tokens: { good: string; expired: string; foreign: string };
beforeAll(async () => {
  database = await createTestDatabase();
  const key = await createSigningKey('first');
  issuer = await startIssuer(key);
  tokens = {
    good: await aToken(key),
    expired: await aToken(key, { exp: 1_700_000_000 }),
    foreign: await aToken(key, { iss: 'https://elsewhere.example/' }),
  };
});
afterAll(async () => {
  await killServices();
  await issuer.close();
  await database.drop();
});

const bearer = (secret: string) => `Authorization: Bearer ${secret}`;

interface Sent {
  line: string;
  headers?: string[];
  body?: string;
}

/** Returns requests with the secret in each place where a client may put it by mistake. */
function everywhere(secret: string, valid: string): Sent[] {
  const json = 'Content-Type: application/json';
  const id = '00000000-0000-4000-8000-000000000001';
  const project = (fields: object) => JSON.stringify({ ...aProject(), ...fields });
  return [
    { line: 'GET /api/projects', headers: [bearer(secret)] },
    { line: 'GET /api/projects', headers: [bearer(secret), bearer(secret)] },
    { line: 'GET /api/projects', headers: [bearer(valid), bearer(secret)] },
    { line: 'GET /api/projects', headers: [`Authorization: ${secret}`] },
    { line: 'GET /api/projects', headers: [`Authorization: Basic ${secret}`] },
    { line: 'GET /api/projects', headers: [`Authorization: Bearer ${secret} ${secret}`] },
    { line: 'GET /api/projects', headers: [bearer(`${secret},`)] },
    ...['X-API-Key', 'Cookie', 'Proxy-Authorization', 'Accept', 'If-None-Match', 'traceparent'].map(
      (name) => ({ line: 'GET /api/projects', headers: [bearer(valid), `${name}: ${secret}`] }),
    ),
    { line: `GET /api/projects HTTP/${secret}`, headers: [bearer(valid)] },
    { line: `${secret} /api/projects`, headers: [bearer(valid)] },
    ...['', bearer(valid)].flatMap((credentials) => {
      const headers = credentials ? [credentials] : [];
      return [
        { line: `GET /api/projects?access_token=${secret}`, headers },
        { line: `GET /api/projects?${secret}=1`, headers },
        { line: `GET /api/projects?q=${secret}`, headers },
        { line: `GET /api/projects?cursor=${secret}`, headers },
        { line: `GET /api/projects/${secret}`, headers },
        { line: `DELETE /api/projects/${secret}`, headers },
        { line: `GET /${secret}`, headers },
        { line: `GET /health/${secret}`, headers },
        { line: `GET /metrics?token=${secret}`, headers },
        { line: `GET http://${secret}@host/api/projects`, headers },
        ...[
          project({ name: secret }),
          project({ description: secret }),
          project({ technologies: [secret] }),
          project({ [secret]: secret }),
          `{"name":"${secret}`,
          `"${secret}"`,
          secret,
        ].map((body) => ({ line: 'POST /api/projects', headers: [...headers, json], body })),
        {
          line: 'POST /api/projects',
          headers: [...headers, json, `Idempotency-Key: ${secret}`],
          body: project({}),
        },
        {
          line: 'POST /api/projects',
          headers: [...headers, `Content-Type: ${secret}`],
          body: '{}',
        },
        {
          line: `PATCH /api/projects/${id}`,
          headers: [...headers, json, `If-Match: "${secret}"`],
          body: '{}',
        },
        {
          line: 'POST /api/projects/import',
          headers: [...headers, 'Content-Type: application/x-ndjson'],
          body: `{"name":"${secret}"}\n${secret}\n`,
        },
      ];
    }),
  ];
}

async function send(url: string, { line, headers = [], body = '' }: Sent): Promise<number[]> {
  const request = /HTTP\/\S+$/.test(line) ? line : `${line} HTTP/1.1`;
  const length = body ? [`Content-Length: ${Buffer.byteLength(body)}`] : [];
  const lines = [request, 'Host: test', 'Connection: close', ...headers, ...length, '', body];
  return (await exchange(url, lines.join('\r\n'))).map(({ status }) => status);
}

/** While the table is locked, statements with these values are slow and fail. */
async function sendToLockedTable(url: string, secret: string, valid: string): Promise<number[]> {
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  try {
    return await sql.begin(async (tx) => {
      await tx`lock table projects in access exclusive mode`;
      return await send(url, {
        line: 'POST /api/projects',
        headers: [bearer(valid), 'Content-Type: application/json'],
        body: JSON.stringify({ ...aProject(), description: secret }),
      });
    });
  } finally {
    await sql.end();
  }
}

describe.each(['pretty', 'json'])('with LOG_LEVEL=verbose and LOG_FORMAT=%s', (LOG_FORMAT) => {
  it.each(['api-key', 'jwt'])(
    'the output contains no key or token of AUTH_MODE=%s, wherever it was sent and whatever failed',
    async (AUTH_MODE) => {
      const isKey = AUTH_MODE === 'api-key';
      const mode = isKey
        ? { AUTH_MODE, AUTH_API_KEYS: `ci:read+write:${hash('sha256', KEY)}` }
        : issuer.variables;
      const secrets = isKey ? [KEY, UNKNOWN_KEY] : Object.values(tokens);
      const service = await startProcess({
        ...mode,
        DATABASE_URL: database.url,
        DATABASE_STATEMENT_TIMEOUT_MS: '500',
        DATABASE_SLOW_STATEMENT_MS: '1',
        LOG_LEVEL: 'verbose',
        LOG_FORMAT,
      });
      const url = await service.url;
      const valid = secrets[0]!;
      const statuses = new Map<number, number>();
      for (const secret of secrets) {
        for (const request of everywhere(secret, valid)) {
          for (const status of await send(url, request))
            statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
        expect(await sendToLockedTable(url, secret, valid)).toEqual([503]);
      }
      const metrics = await (await fetch(`${url}/metrics`)).text();
      // The log must show that the requests were served, refused and failed.
      for (const status of [200, 201, 400, 401, 404])
        expect([...statuses.keys()]).toContain(status);
      expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
      await until(() => service.output().split('statement_timeout').length > secrets.length);
      service.send('SIGTERM');
      await service.ended;
      const written = service.output() + service.errors();
      expect(written).toMatch(/slowStatement/);
      for (const secret of secrets) {
        // A part of a secret must not appear either. For a token this is its signature, which makes it valid.
        const part = isKey ? secret.slice(4, 24) : secret.split('.')[2]!.slice(0, 20);
        for (const text of [secret, part]) {
          expect(written).not.toContain(text);
          expect(metrics).not.toContain(text);
        }
      }
    },
    120_000,
  );
});
