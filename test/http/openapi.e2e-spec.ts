import { hash, randomUUID } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { Express } from 'express';
import { Validator } from '@seriousme/openapi-schema-validator';
import postgres from 'postgres';
import { parse } from 'yaml';
import { writeOpenApi } from '../../src/cli/openapi.js';
import { type ProblemBody, PROBLEMS } from '../../src/http/problems/problem.js';
import { aProject } from '../support/builders.js';
import {
  type Answer,
  answerName,
  contractOf,
  documentedAnswers,
  type Operation,
  operationsOf,
} from '../../src/testing/index.js';
import { aToken, createSigningKey } from '../support/issuer.js';
import { startService, type TestService } from '../support/service.js';
import { transfersOf } from '../support/transfer.js';

const document = JSON.parse(await readFile('docs/openapi.json', 'utf8')) as OpenAPIObject;
const all = operationsOf(document);
/** The resources whose tables, ids and bodies this file knows. Those that the guide adds are only requested. */
const KNOWN = /^\/(api\/(projects|technologies)|health)\b/;
const operations = all.filter(({ path }) => KNOWN.test(path));
const others = all.filter(({ path }) => !KNOWN.test(path));
const contract = await contractOf(document);

const KEY = 'Idempotency-Key';

/** Each answer of the service while this file requests everything and causes every failure. */
const answers = new Map<Operation, Answer[]>();
const onAnyPath: Answer[] = [];
let service: TestService;

beforeAll(async () => {
  service = await startService({ BODY_LIMIT: '2kb' });
  await askRight(service);
  await askWrong(service);
  await askOthers(service);
  await stepInTheWay(service);
  await withService({ MIGRATIONS: 'off' }, breakTheTable);
  const slow = { DATABASE_MAX_CONNECTIONS: '1', DATABASE_ACQUIRE_TIMEOUT_MS: '50' };
  await withService({ ...slow, DATABASE_STATEMENT_TIMEOUT_MS: '500' }, holdTheTable);
  const gone = new URL('/gone', process.env.TEST_DATABASE_URL).href;
  await withService({ DATABASE_URL: gone, MIGRATIONS: 'off' }, askAll);
  await askAsStrangers();
  await withService({ RATE_LIMIT: '1/3600' }, async (limited) => {
    await send(limited, '/api/projects', {});
    await askAll(limited);
  });
  const busy = { MAX_CONCURRENT_REQUESTS: '1', OVERLOAD_HOLD_MS: '0' };
  await withService({ ...busy, DATABASE_STATEMENT_TIMEOUT_MS: '60000' }, askWhenBusy);
}, 240_000);
afterAll(() => service.close());

describe('the OpenAPI document', () => {
  it('is valid OpenAPI', async () => {
    const { valid, errors } = await new Validator().validate(structuredClone({ ...document }));
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
  });

  it('is served, and is equal to the one in docs/ (otherwise run "npm run openapi")', async () => {
    const [json, yaml] = await Promise.all(
      ['json', 'yaml'].map(async (kind) => await fetch(`${service.url}/docs/openapi.${kind}`)),
    );
    expect(await json!.json()).toEqual(document);
    expect(parse(await yaml!.text())).toEqual(document);
    expect(parse(await readFile('docs/openapi.yaml', 'utf8'))).toEqual(document);
  });

  it('can be written without a database and without an environment', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'openapi-'));
    const files = await writeOpenApi(directory);
    expect(files.map((file) => path.basename(file))).toEqual(['openapi.json', 'openapi.yaml']);
    for (const file of files) {
      const checkedIn = await readFile(path.join('docs', path.basename(file)), 'utf8');
      expect(await readFile(file, 'utf8')).toBe(checkedIn);
    }
    await rm(directory, { recursive: true });
  });

  it('names the server, and the prefix that a trusted proxy has removed', async () => {
    expect(document.servers!.map(({ url }) => url)).toEqual(['/']);
    const headers = { 'X-Forwarded-Prefix': '/catalogue' };
    const app: Express = service.app.getHttpAdapter().getInstance();
    app.set('trust proxy', true);
    try {
      for (const kind of ['json', 'yaml']) {
        const url = `${service.url}/docs/openapi.${kind}`;
        const served = parse(await (await fetch(url, { headers })).text());
        const [server] = document.servers!;
        expect(served).toEqual({ ...document, servers: [{ ...server, url: '/catalogue' }] });
        expect(parse(await (await fetch(url)).text())).toEqual(document);
      }
    } finally {
      app.set('trust proxy', false);
    }
  });

  it('has no unused component', () => {
    const { securitySchemes, ...components } = document.components!;
    expect(Object.keys(securitySchemes!)).toEqual(document.security!.flatMap(Object.keys));
    const text = JSON.stringify(document);
    const names = Object.entries(components).flatMap(([kind, all]) =>
      Object.keys(all as object).map((name) => `"#/components/${kind}/${name}"`),
    );
    expect(names.filter((name) => !text.includes(name))).toEqual([]);
  });

  it('has no empty schema and names its schemas and operations', () => {
    const schemas = Object.entries(document.components!.schemas!);
    const empty = schemas.filter(([, schema]) => {
      if ('$ref' in schema || schema.enum) return false;
      return Object.keys(schema.properties ?? {}).length === 0;
    });
    expect(empty).toEqual([]);
    expect(schemas.map(([name]) => name).filter((name) => /Dto$|^Object$/.test(name))).toEqual([]);
    for (const { operationId } of all) expect(operationId).toMatch(/^[a-z]+[A-Z][A-Za-z]+$/);
  });

  it('lists every problem code once, with its status and its meaning', () => {
    const { description } = document.components!.schemas!.ProblemCode as { description: string };
    for (const [code, { status, title }] of Object.entries(PROBLEMS)) {
      expect(description.split(`- \`${code}\` (${status}): ${title}.`)).toHaveLength(2);
    }
  });

  it('names each problem once in the description of an answer', () => {
    const described = all.flatMap(({ responses }) => Object.values(responses));
    for (const { description } of described as { description?: string }[]) {
      const codes = description!.match(/`\w+`(?=: )/g) ?? [];
      expect(codes).toEqual([...new Set(codes)]);
    }
  });

  it('contains real answers of the service as examples of problems', () => {
    const said = ({ type, title, status, detail }: ProblemBody) =>
      JSON.stringify([type, title, status, detail]);
    const real = [...answers.values(), onAnyPath]
      .flat()
      .filter(({ status }) => status >= 400)
      .map(({ text }) => said(JSON.parse(text)));
    const invented = Object.values(document.components!.examples!)
      .map((example) => (example as { value: ProblemBody }).value)
      .filter((example) => !real.includes(said(example)));
    expect(invented.map(({ code }) => code)).toEqual([]);
  });

  it('documents 405 with Allow, and the service answers it for every unsupported method', async () => {
    for (const url of new Set(all.map(({ path }) => urlOf({ path }, randomUUID())))) {
      const answer = await send(service, url, { method: 'PROPFIND' });
      expect(answer.status).toBe(405);
      expect(JSON.parse(answer.text)).toMatchObject({ code: 'method_not_allowed' });
      expect(answer.headers.get('allow')).toMatch(/GET|POST/);
      onAnyPath.push(answer);
    }
  });
});

describe.each(operations.map((operation) => [operation.operationId, operation] as const))(
  '%s',
  (_name, operation) => {
    it('returns only documented answers', () => {
      const faults = answers
        .get(operation)!
        .map((answer) => [answerName(answer), ...contract.faultsOf(operation, answer)])
        .filter(([, ...faults]) => faults.length > 0);
      expect(faults).toEqual([]);
    });

    it('returns its answer again for an Idempotency-Key if it accepts one', () => {
      const repeated = answers
        .get(operation)!
        .filter(({ headers }) => headers.get('idempotency-replayed') === 'true');
      expect(repeated.length > 0).toBe(takesParameter(operation, KEY));
    });

    it('returns every documented answer at least once', () => {
      const given = new Set(answers.get(operation)!.map(answerName));
      expect([...given].sort()).toEqual(documentedAnswers(operation).sort());
    });
  },
);

it('the document covers all answers of the routes of any other entity', () => {
  const faults = others.flatMap((operation) =>
    answers
      .get(operation)!
      .map((answer) => [
        operation.operationId,
        answerName(answer),
        ...contract.faultsOf(operation, answer),
      ])
      .filter(([, , ...faults]) => faults.length > 0),
  );
  expect(faults).toEqual([]);
});

interface Asked {
  id?: string;
  query?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** Sends the request that the document shows as its example, with the given changes. */
async function ask(to: TestService, operation: Operation, asked: Asked = {}): Promise<Answer> {
  const mediaType = Object.keys(operation.requestBody?.content ?? {})[0];
  const answer = await send(to, urlOf(operation, asked.id ?? randomUUID()) + (asked.query ?? ''), {
    method: operation.method.toUpperCase(),
    headers: { ...(mediaType && { 'Content-Type': mediaType }), ...asked.headers },
    body: mediaType && (asked.body ?? exampleOf(operation)),
  });
  answers.set(operation, [...(answers.get(operation) ?? []), answer]);
  return answer;
}

async function send(to: TestService, url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(to.url + url, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}

function urlOf(operation: { path: string }, id: string): string {
  return operation.path.replace('{id}', id);
}

const FILE = `${JSON.stringify(aProject())}\n`;

function exampleOf(operation: Operation): string {
  return takesFile(operation) ? FILE : JSON.stringify(bodyOf(operation));
}

function takesFile({ requestBody }: Operation): boolean {
  return 'application/x-ndjson' in (requestBody?.content ?? {});
}

/** Returns the initial body of "Try it out". */
function bodyOf({ requestBody }: Operation): Record<string, unknown> {
  const { $ref } = Object.values(requestBody!.content)[0]!.schema;
  const { properties } = document.components!.schemas![$ref.split('/').at(-1)!] as {
    properties: Record<string, { example: unknown }>;
  };
  return Object.fromEntries(Object.entries(properties).map(([key, { example }]) => [key, example]));
}

function takesParameter({ parameters }: Operation, name: string): boolean {
  return parameters.some((known) => known.name === name);
}

function operationNamed(name: string): Operation {
  return operations.find(({ operationId }) => operationId === name)!;
}

async function aStoredId(): Promise<string> {
  const { text } = await ask(service, operationNamed('createProject'));
  return JSON.parse(text).data.id;
}

/** Sends successful requests. A new route needs a line here only if it has an id. */
async function askRight(to: TestService): Promise<void> {
  for (const operation of operations) {
    const id = await aStoredId();
    await ask(to, operation, { id });
    if (operation.operationId === 'replaceProject') await ask(to, operation);
    if (operation.operationId === 'getProject')
      await ask(to, operation, { id, headers: { 'If-None-Match': '"1"' } });
    for (let times = 2; takesParameter(operation, KEY) && times > 0; times--)
      await ask(to, operation, { headers: { [KEY]: operation.operationId } });
  }
}

/** Sends invalid requests of each kind that the parameters and the body of the operation allow. */
async function askWrong(to: TestService): Promise<void> {
  for (const operation of operations) {
    const takes = (name: string) => takesParameter(operation, name);
    await ask(to, operation, { query: '?nonsense=1' });
    await ask(to, operation, { query: '?limit=%zz' });
    await ask(to, operation, { query: '?limit=%00' });
    await ask(to, operation, { headers: { Accept: 'text/html' } });
    if (takes('limit')) await ask(to, operation, { query: '?limit=1&limit=2' });
    if (takes('after')) await ask(to, operation, { query: '?after=nonsense' });
    if ('410' in operation.responses) await askTooLate(to, operation);
    if (takes('id')) await ask(to, operation, { id: '42' });
    if (takes('id')) await ask(to, operation);
    for (const name of ['If-Match', 'If-None-Match', 'X-Consistency-Token'].filter(takes))
      await ask(to, operation, { id: await aStoredId(), headers: { [name]: 'nonsense' } });
    if (takes('If-Match'))
      await ask(to, operation, { id: await aStoredId(), headers: { 'If-Match': '"999"' } });
    if (takes(KEY)) await ask(to, operation, { headers: { [KEY]: 'not visible' } });
    if (takes(KEY)) await ask(to, operation, { headers: { [KEY]: keyOfAnother(operation) } });
    if (operation.requestBody) await askWrongBodies(to, operation);
  }
  await askUndoneBatches(to);
  await askReferenced(to);
  await askSilently(to);
  onAnyPath.push(await send(to, '/api/nothing', {}));
  onAnyPath.push(await send(to, '/api/projects', { method: 'PROPFIND' }));
  onAnyPath.push(await sendRaw(to, { 'X-Padding': 'x'.repeat(20_000) }));
  onAnyPath.push(await sendRaw(to, { Expect: 'miracles' }));
}

/**
 * Sends requests that need no knowledge of the entity: its examples, twice, an unknown id, and invalid parameters.
 */
async function askOthers(to: TestService): Promise<void> {
  for (const operation of others) {
    for (let times = 2; times > 0; times--) await ask(to, operation);
    for (const query of ['?nonsense=1', '?limit=0', '?after=nonsense', '?after=now'])
      await ask(to, operation, { query });
    for (const name of ['Accept', 'If-Match', 'If-None-Match', KEY])
      await ask(to, operation, { headers: { [name]: 'nonsense' } });
    if (takesParameter(operation, 'id')) await ask(to, operation, { id: '42' });
    if (operation.requestBody) await ask(to, operation, { body: '{' });
  }
}

/** The key with which `askRight` has sent another request. */
function keyOfAnother(operation: Operation): string {
  const keyed = operations.filter((other) => takesParameter(other, KEY) && other !== operation);
  return keyed[0]!.operationId;
}

/** Announces a file and sends nothing of it. */
async function askSilently(to: TestService): Promise<void> {
  const { limits } = transfersOf(to);
  const { silenceMs } = limits;
  limits.silenceMs = 50;
  const operation = operationNamed('importProjects');
  const headers = { 'Content-Type': 'application/x-ndjson', 'Content-Length': '100' };
  answers.get(operation)!.push(await sendRaw(to, headers, operation));
  limits.silenceMs = silenceMs;
}

async function askUndoneBatches(to: TestService): Promise<void> {
  const operation = operationNamed('batchProjects');
  const id = randomUUID();
  for (const undone of [
    { op: 'delete', id },
    { op: 'replace', id, ifMatch: '*', project: aProject() },
  ])
    await ask(to, operation, { body: JSON.stringify({ operations: [undone] }) });
}

/** Removes a project that a row of another table refers to. */
async function askReferenced(to: TestService): Promise<void> {
  const id = await aStoredId();
  await withSql(to, async (sql) => {
    await sql`create table referrers (project uuid references projects)`;
    await sql`insert into referrers values (${id})`;
    await ask(to, operationNamed('deleteProject'), { id });
    const operations = [{ op: 'delete', id }];
    await ask(to, operationNamed('batchProjects'), { body: JSON.stringify({ operations }) });
    await sql`drop table referrers`;
  });
}

/** Uses a cursor whose changes retention has removed. */
async function askTooLate(to: TestService, operation: Operation): Promise<void> {
  const { text } = await ask(to, operation, { query: '?limit=1' });
  const { cursor } = JSON.parse(text).data[0];
  await withSql(to, async (sql) => {
    await sql`update change_expiry set position = (select max(position) from change_commits)`;
    await ask(to, operation, { query: `?after=${cursor}` });
    await sql`update change_expiry set position = 0`;
  });
}

async function askWrongBodies(to: TestService, operation: Operation): Promise<void> {
  const body = takesFile(operation) ? aProject() : bodyOf(operation);
  await ask(to, operation, { body: '{' });
  await ask(to, operation, { body: JSON.stringify({ ...body, name: '' }) });
  await ask(to, operation, { body: JSON.stringify({ ...body, name: '\0' }) });
  await ask(to, operation, { body: JSON.stringify({ ...body, description: 'x'.repeat(3000) }) });
  await ask(to, operation, { headers: { 'Content-Type': 'text/plain' } });
  await ask(to, operation, { headers: { 'Content-Encoding': 'gzip' } });
}

const LIST = { method: 'get', path: '/api/projects' };

/** Sends headers that fetch does not send, and no body. */
async function sendRaw(
  { url }: TestService,
  headers: http.OutgoingHttpHeaders,
  { method, path }: Pick<Operation, 'method' | 'path'> = LIST,
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const options = { method: method.toUpperCase(), headers, agent: false };
    const request = http.request(url + path, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode!,
          headers: new Headers(response.headers as Record<string, string>),
          text: Buffer.concat(chunks).toString(),
        }),
      );
    });
    request.on('error', reject).flushHeaders();
    if (method === 'get') request.end();
  });
}

async function askAll(to: TestService): Promise<void> {
  for (const operation of operations) await ask(to, operation);
}

/** Uses a token whose issuer is unavailable, an unknown key, and keys that may only read or only write. */
async function askAsStrangers(): Promise<void> {
  const away = { AUTH_JWKS_URL: 'http://127.0.0.1:1/', AUTH_ISSUER: 'i', AUTH_AUDIENCE: 'a' };
  await withService({ AUTH_MODE: 'jwt', ...away }, async (guarded) => {
    const token = await aToken(await createSigningKey('any'));
    for (const operation of operations.filter(({ path }) => path.startsWith('/api/')))
      await ask(guarded, operation, { headers: { Authorization: `Bearer ${token}` } });
  });
  const AUTH_API_KEYS = ['read', 'write']
    .map((scope) => `${scope}er:${scope}:${hash('sha256', scope)}`)
    .join();
  await withService({ AUTH_MODE: 'api-key', AUTH_API_KEYS }, async (guarded) => {
    for (const operation of operations.filter(({ path }) => path.startsWith('/api/')))
      for (const key of ['unknown', operation.method === 'get' ? 'write' : 'read'])
        await ask(guarded, operation, { headers: { Authorization: `Bearer ${key}` } });
  });
}

async function withService(
  variables: Record<string, string>,
  work: (service: TestService) => Promise<void>,
): Promise<void> {
  const other = await startService(variables);
  try {
    await work(other);
  } finally {
    await other.close();
  }
}

async function withSql<T>(to: TestService, work: (sql: postgres.Sql) => Promise<T>): Promise<void> {
  const sql = postgres(to.database.url, { max: 1, onnotice: () => {} });
  try {
    await work(sql);
  } finally {
    await sql.end();
  }
}

/** Adds a constraint that the DTO does not know, and a lock that writes wait for until they give up. */
async function stepInTheWay(to: TestService): Promise<void> {
  const writes = operations.filter(({ method }) => method !== 'get');
  const ids = await Promise.all(writes.map(aStoredId));
  await withSql(to, async (sql) => {
    await sql`alter table projects add constraint refused check (false) not valid`;
    for (const [i, operation] of writes.entries())
      if (operation.requestBody) await ask(to, operation, { id: ids[i] });
    await sql`alter table projects drop constraint refused`;
  });
  const given = { DATABASE_URL: `${to.database.url}?lock_timeout=50` };
  await withService(given, async (impatient) =>
    withSql(to, (sql) =>
      sql.begin(async (tx) => {
        await tx`lock table projects in share mode`;
        for (const [i, operation] of writes.entries())
          await ask(impatient, operation, { id: ids[i] });
      }),
    ),
  );
}

/** Makes every statement fail with an unknown error. */
async function breakTheTable(to: TestService): Promise<void> {
  await withSql(to, async (sql) => {
    await sql`alter table projects rename to kept`;
    await sql`alter table technology_counts rename to kept_counts`;
    await sql.unsafe(`create function fail() returns boolean immutable language plpgsql
      as $$ begin raise exception 'on purpose'; end $$`);
    // Keeps the columns that the import uses to detect a new row, which a view does not have.
    await sql`create view projects as select distinct *, 0 as xmax from kept where fail()`;
    await sql`create function project_document(projects) returns json language sql as 'select null::json'`;
    await sql`create view technology_counts as select distinct * from kept_counts where fail()`;
    await sql`alter table changes rename to kept_changes`;
    await sql`create view changes as select distinct on (sequence) * from kept_changes where fail()`;
  });
  for (const operation of operations.filter(({ responses }) => '500' in responses))
    await ask(to, operation);
}

const WHILE_HELD = ['statement_timeout', 'pool_exhausted'];

/** Makes every statement wait longer than its limit, on the only connection. */
async function holdTheTable(to: TestService): Promise<void> {
  await withSql(to, (sql) =>
    sql.begin(async (tx) => {
      await tx`lock table projects, technology_counts, changes in access exclusive mode`;
      for (const operation of operations.filter(({ path }) => path.startsWith('/api/'))) {
        // On a busy machine the first request may have ended before the second one arrives, or the connection may not
        // be ready. So this repeats until both answers were given.
        const codes = new Set<string | undefined>();
        for (let tries = 0; tries < 10 && !WHILE_HELD.every((code) => codes.has(code)); tries++) {
          const first = ask(to, operation);
          await Promise.race([first, untilSomeoneWaits(tx)]);
          for (const answer of await Promise.all([first, ask(to, operation)]))
            codes.add(answerNameProblem(answer));
        }
      }
    }),
  );
}

function answerNameProblem(answer: Answer): string | undefined {
  return (JSON.parse(answer.text) as Partial<ProblemBody>).code;
}

/** Sends requests while the only permitted request waits. */
async function askWhenBusy(to: TestService): Promise<void> {
  await withSql(to, async (sql) => {
    const first = await sql.begin(async (tx) => {
      await tx`lock table projects in access exclusive mode`;
      const waiting = send(to, '/api/projects', {});
      await Promise.race([waiting, untilSomeoneWaits(tx)]);
      for (const operation of operations.filter(({ path }) => path.startsWith('/api/')))
        await ask(to, operation);
      return { waiting };
    });
    expect((await first.waiting).status).toBe(200);
  });
}

async function untilSomeoneWaits(sql: postgres.TransactionSql): Promise<void> {
  const waiting = () =>
    sql`select from pg_locks where not granted and relation in ('projects'::regclass, 'technology_counts'::regclass, 'changes'::regclass)
      and database = (select oid from pg_database where datname = current_database())`;
  for (let looks = 0; looks < 200; looks++) if ((await waiting()).length > 0) return;
}
