import 'reflect-metadata';
import { readFile } from 'node:fs/promises';
import {
  type INestApplication,
  Module,
  ValidationPipe,
  type ValidationPipeOptions,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import request from 'supertest';
import { DatabaseModule, ProjectsModule, TechnologiesModule } from '../../src/index.js';
import { createTestDatabase } from '../support/database.js';
import { SKILLS_MIGRATION, SkillsModule } from '../support/skills.js';
import { onDatabase } from '../support/transfer.js';

/** Global pipes of host applications, each with a different option. */
const PIPES: [name: string, options: ValidationPipeOptions][] = [
  ['no options', {}],
  ['transform', { transform: true }],
  ['whitelist', { whitelist: true }],
  ['forbidNonWhitelisted', { whitelist: true, forbidNonWhitelisted: true, transform: true }],
  [
    'implicit conversion',
    { transform: true, transformOptions: { enableImplicitConversion: true } },
  ],
  [
    'excludeExtraneousValues',
    { transform: true, transformOptions: { excludeExtraneousValues: true } },
  ],
  ['excludeAll', { transform: true, transformOptions: { strategy: 'excludeAll' } }],
  ['forbidUnknownValues', { forbidUnknownValues: true, stopAtFirstError: true }],
  ['groups', { whitelist: true, transform: true, groups: ['admin'], strictGroups: true }],
  ['custom decorators', { validateCustomDecorators: true, whitelist: true, transform: true }],
  [
    'unset fields and defaults',
    { transform: true, transformOptions: { exposeUnsetFields: false, exposeDefaultValues: true } },
  ],
  [
    'skipped properties',
    { skipMissingProperties: true, disableErrorMessages: true, whitelist: true },
  ],
];

const ID = '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10';
const OTHER = '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b11';
/** Projects with random ids have different names or are equal, so no list depends on the order of the ids. */
const PROJECT = { name: ' Ada ', description: 'd', technologies: ['C++', ' SQL '] };

/** The requests that were sent: `get /api/projects limit` for a parameter, `post /api/projects` for a body. */
const sent = new Set<string>();

/** Returns the answers of a host application with this pipe, on a new database. */
async function answersWith(options?: ValidationPipeOptions): Promise<Seen[]> {
  const database = await createTestDatabase();
  const { url } = database;
  await onDatabase(url, (sql) => sql.unsafe(SKILLS_MIGRATION));
  @Module({
    imports: [DatabaseModule.forRoot({ url }), ProjectsModule, TechnologiesModule, SkillsModule],
  })
  class HostModule {}
  const host = await NestFactory.create(HostModule, { logger: false });
  if (options) host.useGlobalPipes(new ValidationPipe(options));
  await host.listen(0, '127.0.0.1');
  try {
    return await answersOf(host);
  } finally {
    await host.close();
    await database.drop();
  }
}

interface Seen {
  request: string;
  status: number;
  body: string;
}

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

interface Sent {
  headers?: Record<string, string>;
  query?: Record<string, string | string[]>;
  body?: object | string;
  type?: string;
}

async function answersOf(host: INestApplication): Promise<Seen[]> {
  const answers: Seen[] = [];
  const agent = request(host.getHttpServer());
  const ask = async (method: Method, path: string, { headers, query, body, type }: Sent = {}) => {
    const documented = `${method} /api${path.replace(ID, '{id}')}`;
    Object.keys(query ?? {}).forEach((name) => sent.add(`${documented} ${name}`));
    if (body) sent.add(documented);
    const sending = agent[method](path).query(query ?? {});
    if (type) sending.type(type);
    if (headers) sending.set(headers);
    const answer = await sending.send(body);
    const asked = `${method} ${path} ${JSON.stringify(headers ?? query ?? body)}`;
    answers.push({ request: asked, status: answer.status, body: stable(answer) });
  };
  await ask('put', `/projects/${ID}`, { body: PROJECT });
  await ask('patch', `/projects/${ID}`, { body: { name: ' Grace ' } });
  await ask('patch', `/projects/${ID}`, { body: { name: 7 } });
  await ask('patch', `/projects/${ID}`, { body: { colour: 'red' } });
  await ask('post', '/projects', { body: { ...PROJECT, name: 'x'.repeat(256) } });
  await ask('post', '/projects', { body: { ...PROJECT, name: 'Ada of a POST' } });
  await ask('post', '/projects/batch', {
    body: {
      operations: [
        { op: 'create', project: { ...PROJECT, name: 'Ada of a batch' } },
        {
          op: 'replace',
          id: OTHER.toUpperCase(),
          project: { ...PROJECT, name: 'Ada of a batch' },
        },
        { op: 'delete', id: ID, ifMatch: '*' },
      ],
    },
  });
  await ask('post', '/projects/batch', { body: { operations: [{ op: 'delete', id: '7' }] } });
  await ask('put', `/projects/${ID}`, { body: PROJECT });
  const file = {
    body: `${JSON.stringify({ ...PROJECT, id: ID })}\n`,
    type: 'application/x-ndjson',
  };
  await ask('post', '/projects/import', { ...file, query: { onError: 'skip', dryRun: 'true' } });
  await ask('post', '/projects/import', { ...file, query: { dryRun: '1' } });
  await ask('post', '/projects/import', {
    body: 'name;description;technologies\r\nAda;;[]\r\n',
    type: 'text/csv',
    query: { delimiter: ';', dryRun: 'true' },
  });
  for (const query of LIST_QUERIES) await ask('get', '/projects', { query });
  for (const query of FILTERS) await ask('get', '/projects/export', { query });
  await ask('get', '/projects/export', { query: { format: 'csv', bom: 'true' } });
  await ask('get', '/projects/changes', { query: { limit: '1', after: 'now' } });
  await ask('get', `/projects/${ID}/history`, { query: { limit: '1' } });
  await ask('get', `/projects/${ID}/history`, { query: { after: 'x' } });
  await ask('get', '/technologies', { query: { q: 'c', limit: '1' } });
  const key = { headers: { 'Idempotency-Key': 'one' }, body: PROJECT };
  for (let i = 0; i < 2; i++) await ask('post', '/projects', key);
  for (const headers of HEADERS) await ask('get', `/projects/${ID}`, { headers });
  await ask('put', `/projects/${ID}`, { headers: { 'If-Match': '"7"' }, body: PROJECT });
  for (const body of SKILL_BODIES) await ask('put', `/skills/${ID}`, { body });
  await ask('patch', `/skills/${ID}`, { body: { proficiency: 4 } });
  for (const query of SKILL_QUERIES) await ask('get', '/skills', { query });
  return answers;
}

const FILTERS: Record<string, string | string[]>[] = [
  { createdFrom: '2020-01-01' },
  { createdTo: '2020-01-01T00:00:00.0001Z' },
  { updatedFrom: '2020-01-01T12:00:00+02:00', updatedTo: '2099-12-31' },
  { technology: 'SQL', anyTechnology: ['C++', 'PL/SQL'] },
  { q: 'ada', sort: 'name' },
];

const LIST_QUERIES: Record<string, string | string[]>[] = [
  ...FILTERS,
  { limit: '1' },
  { limit: '1e0' },
  { fields: 'id,name' },
  { fields: ['id', 'name'] },
  { count: 'exact' },
  { id: [ID, OTHER] },
  { after: 'nonsense' },
  { createdFrom: 'yesterday' },
  { colour: 'red' },
];

const HEADERS = [
  { 'If-None-Match': '*' },
  { 'If-Match': '"7"' },
  { 'X-Consistency-Token': 'nonsense' },
] as Record<string, string>[];

const SKILL_BODIES = [
  { name: ' Go ', category: 'language', proficiency: 3 },
  { name: 'Go', category: 'language', proficiency: '3' },
  { name: 'Go', category: 'none', proficiency: 3 },
];

const SKILL_QUERIES: Record<string, string | string[]>[] = [
  { minProficiency: '3', category: ['language', 'tool'], sort: '-proficiency', limit: '1' },
  { minProficiency: '6' },
  { createdFrom: '2020-01-01', updatedTo: '2099-12-31', id: ID },
  { category: 'none' },
];

const VOLATILE =
  /"(?:id|requestId|createdAt|updatedAt|nextCursor|cursor|at)":"[^"]*"|[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}|\d{4}-[\dT:.-]+Z/g;

/** Removes the parts that differ between runs. */
function stable({ body, text }: request.Response): string {
  const json = Object.keys(body as object).length > 0;
  return (json ? JSON.stringify(body) : text).replace(VOLATILE, '');
}

describe("a host's ValidationPipe for all routes", () => {
  let expected: Seen[];
  beforeAll(async () => (expected = await answersWith()));

  it.each(PIPES)('does not change any answer with %s', async (_name, options) => {
    expect(await answersWith(options)).toEqual(expected);
  });

  it('is tested with filters that match something, and with faults that are refused', () => {
    const refused = expected.filter(({ status }) => status >= 400);
    expect(refused.map(({ request: asked, status }) => `${status} ${asked}`)).toEqual([
      ...[`{"name":7}`, `{"colour":"red"}`].map((body) => `400 patch /projects/${ID} ${body}`),
      expect.stringMatching(/^400 post \/projects /),
      '400 post /projects/batch {"operations":[{"op":"delete","id":"7"}]}',
      '400 post /projects/import {"dryRun":"1"}',
      ...['{"limit":"1e0"}', '{"fields":["id","name"]}', '{"after":"nonsense"}'].map(
        (query) => `400 get /projects ${query}`,
      ),
      ...['{"createdFrom":"yesterday"}', '{"colour":"red"}'].map(
        (query) => `400 get /projects ${query}`,
      ),
      `400 get /projects/${ID}/history {"after":"x"}`,
      `412 get /projects/${ID} {"If-Match":"\\"7\\""}`,
      `400 get /projects/${ID} {"X-Consistency-Token":"nonsense"}`,
      `412 put /projects/${ID} {"If-Match":"\\"7\\""}`,
      ...SKILL_BODIES.slice(1).map((body) => `400 put /skills/${ID} ${JSON.stringify(body)}`),
      '400 get /skills {"minProficiency":"6"}',
      '400 get /skills {"category":"none"}',
    ]);
    const listed = expected.filter(({ request: asked }) => asked.startsWith('get /projects {'));
    const empty = listed.filter(({ body }) => body.includes('"data":[]'));
    expect(empty.map(({ request: asked }) => asked)).toEqual([
      'get /projects {"createdTo":"2020-01-01T00:00:00.0001Z"}',
    ]);
  });

  it('is tested with every parameter and every body of the document', async () => {
    const { paths } = JSON.parse(await readFile('docs/openapi.json', 'utf8')) as Document;
    // The document also has the entity of the guide; the host has its own version of it.
    const own = Object.entries(paths).filter(([path]) => !path.startsWith('/api/skills'));
    const known = own.flatMap(([path, operations]) =>
      Object.entries(operations).flatMap(([method, { parameters = [], requestBody }]) => [
        ...parameters
          .filter((one) => one.in === 'query')
          .map(({ name }) => `${method} ${path} ${name}`),
        ...(requestBody ? [`${method} ${path}`] : []),
      ]),
    );
    expect(known.length).toBeGreaterThan(30);
    expect(known.filter((one) => !sent.has(one))).toEqual([]);
  });
});

interface Document {
  paths: Record<
    string,
    Record<string, { parameters?: { name: string; in: string }[]; requestBody?: object }>
  >;
}
