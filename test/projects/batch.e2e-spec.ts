import { randomUUID } from 'node:crypto';
import request from 'supertest';
import type { Project } from '../../src/db/schema.js';
import { aProject } from '../support/builders.js';
import { atEnd, connect, connectPlainly, endEachTest } from '../support/connections.js';
import { createProjectsFactory, inTransaction } from '../../src/index.js';
import { startProxy } from '../support/proxy.js';
import { startService, type TestService } from '../support/service.js';

const LIST = '/api/projects';
const BATCH = '/api/projects/batch';

interface Result {
  op: string;
  status: number;
  etag?: string;
  project: Project;
}

let service: TestService;
// The limits are long for a busy machine, because these tests do not measure the wait for a connection.
beforeAll(async () => (service = await startService({ DATABASE_ACQUIRE_TIMEOUT_MS: '30000' })));
afterAll(() => service.close());
endEachTest();

const batch = (operations: unknown, url = service.url) =>
  request(url).post(BATCH).send({ operations });

const observe = () => connectPlainly(service.database.url);

const create = (project = aProject()) => ({ op: 'create', project });
const replace = (id: string, project = aProject(), ifMatch?: string) => ({
  op: 'replace',
  id,
  ifMatch,
  project,
});
const remove = (id: string, ifMatch?: string) => ({ op: 'delete', id, ifMatch });

async function stored(): Promise<string> {
  const { body } = await request(service.url).post(LIST).send(aProject()).expect(201);
  return body.data.id;
}

/** Returns the content of the table, to check that nothing was written. */
async function table(): Promise<unknown> {
  const sql = observe();
  const rows = await sql`select * from projects order by id`;
  return [rows, await sql`select count(*) from changes`];
}

describe('a batch', () => {
  it('executes every operation and returns a result for each, in the same order', async () => {
    const [replaced, removed] = [await stored(), await stored()];
    const before = (await request(service.url).get(`${LIST}/${removed}`)).body.data;
    const [a, b, c, d] = [aProject(), aProject(), aProject(), aProject({ name: ' trimmed ' })];
    const own = randomUUID();
    const { body } = await batch([
      remove(removed),
      create(a),
      replace(own.toUpperCase(), b),
      replace(replaced, c),
      create(d),
    ]).expect(200);
    const whole = (values: object, version: number) => ({
      ...values,
      id: expect.any(String),
      createdAt: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
      updatedAt: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
      version,
    });
    expect(body).toEqual({
      success: true,
      data: [
        { op: 'delete', status: 200, project: before },
        { op: 'create', status: 201, etag: '"1"', project: whole(a, 1) },
        { op: 'replace', status: 201, etag: '"1"', project: { ...whole(b, 1), id: own } },
        { op: 'replace', status: 200, etag: '"2"', project: { ...whole(c, 2), id: replaced } },
        { op: 'create', status: 201, etag: '"1"', project: whole({ ...d, name: 'trimmed' }, 1) },
      ],
    });
    for (const { op, etag, project } of body.data as Result[]) {
      const read = await request(service.url).get(`${LIST}/${project.id}`);
      if (op === 'delete') expect(read.status).toBe(404);
      else expect([read.body.data, read.headers.etag]).toEqual([project, etag]);
    }
  });

  it('writes the history of each project, with its author', async () => {
    const [replaced, removed] = [await stored(), await stored()];
    const { body, headers } = await batch([
      create(),
      replace(replaced),
      remove(removed),
      replace(randomUUID()),
    ]).expect(200);
    const ids = (body.data as Result[]).map(({ project }) => project.id);
    const rows = await observe()`
      select entity_id, action, version, request_id, change_set from changes
      where request_id = ${headers['x-request-id']!}`;
    const changes = ids.map((id) => rows.find(({ entity_id }) => entity_id === id)!);
    expect(changes.map(({ action, version }) => [action, version])).toEqual([
      ['created', 1],
      ['updated', 2],
      ['deleted', 2],
      ['created', 1],
    ]);
    expect(rows).toHaveLength(4);
    expect(new Set(rows.map(({ change_set }) => change_set)).size).toBe(1);
  });

  it('applies ifMatch like the If-Match header', async () => {
    const ids = await Promise.all(Array.from({ length: 4 }, stored));
    const { body } = await batch([
      replace(ids[0]!, aProject(), '"1"'),
      replace(ids[1]!, aProject(), '*'),
      replace(ids[2]!, aProject(), '"7", "1"'),
      remove(ids[3]!, '"1"'),
    ]).expect(200);
    expect((body.data as Result[]).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });
});

describe('a batch with operations that cannot be executed', () => {
  it('writes nothing and names each of them by its index, with the code of the first one', async () => {
    const [id, other] = [await stored(), await stored()];
    const before = await table();
    const answer = await batch([
      create(),
      replace(id, aProject(), '"2"'),
      replace(other),
      remove(randomUUID()),
      replace(randomUUID(), aProject(), '*'),
      remove(randomUUID(), '"1"'),
      replace(randomUUID()),
    ]).expect(412);
    const mismatch = 'the project does not have the version that ifMatch requires';
    const missing = 'there is no project with this id';
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(answer.body).toMatchObject({
      success: false,
      code: 'version_mismatch',
      errors: [
        { path: 'operations.1', message: mismatch },
        { path: 'operations.3', message: missing },
        { path: 'operations.4', message: mismatch },
        { path: 'operations.5', message: missing },
      ],
    });
    expect(await table()).toEqual(before);
  });

  it.each([
    ['a delete of a missing project', () => remove(randomUUID()), 404, 'not_found'],
    ['an ifMatch with another version', (id: string) => remove(id, '"9"'), 412, 'version_mismatch'],
    ['a weak ifMatch', (id: string) => replace(id, aProject(), 'W/"1"'), 412, 'version_mismatch'],
  ])('is rolled back when the last operation is %s', async (_, last, status, code) => {
    const id = await stored();
    const before = await table();
    const operations = [...Array.from({ length: 20 }, () => create()), last(id)];
    const { body } = await batch(operations).expect(status);
    expect(body).toMatchObject({ code, errors: [{ path: 'operations.20' }] });
    expect(await table()).toEqual(before);
  });

  it('is rolled back when the database refuses a row in its last statement', async () => {
    const sql = observe();
    const [id, last] = [await stored(), await stored()];
    await sql.unsafe(`
      create function refuse() returns trigger language plpgsql as $$
      begin if old.id = '${last}' then raise exception 'no' using errcode = '23514'; end if; return old; end $$;
      create trigger refuse before delete on projects for each row execute function refuse();`);
    atEnd(() => sql.unsafe('drop trigger refuse on projects; drop function refuse'));
    const before = await table();
    const { body } = await batch([create(), replace(id), remove(last)]).expect(400);
    expect(body.code).toBe('invalid_value');
    expect(await table()).toEqual(before);
  });

  it('is named with its field when a unique constraint of the operator refuses it', async () => {
    const sql = observe();
    await sql`create unique index own on projects (description) where description like 'own %'`;
    atEnd(() => sql`drop index own`);
    const same = () => ({ op: 'create', project: aProject({ description: 'own a' }) });
    const other = { op: 'create', project: aProject({ description: 'own b' }) };
    const { body } = await batch([same(), other, remove(await stored()), same()]).expect(409);
    expect([body.code, body.detail, body.errors]).toEqual([
      'already_exists',
      'Another project with the same description exists already.',
      [{ path: 'operations.3.project.description', message: 'must be unique' }],
    ]);
  });

  it('names at most a hundred of them', async () => {
    const { body } = await batch(Array.from({ length: 300 }, () => remove(randomUUID()))).expect(
      404,
    );
    expect(body.errors).toHaveLength(100);
    expect(body.errors[99].path).toBe('operations.99');
  });
});

describe('a batch of any size', () => {
  it('has at most one statement of each kind', async () => {
    const sql = observe();
    await sql.unsafe(`
      create table statements (kind text);
      create function count_statement() returns trigger language plpgsql as $$
      begin insert into statements values (tg_op); return null; end $$;
      create trigger count_statement after insert or update or delete on projects
      for each statement execute function count_statement();`);
    atEnd(() =>
      sql.unsafe(
        'drop trigger count_statement on projects; drop function count_statement; drop table statements',
      ),
    );
    const ids = await Promise.all(Array.from({ length: 20 }, stored));
    await sql`delete from statements`;
    await batch([
      ...Array.from({ length: 10 }, () => create()),
      ...ids.slice(0, 10).map((id) => replace(id)),
      ...Array.from({ length: 10 }, () => replace(randomUUID())),
      ...ids.slice(10).map((id) => remove(id)),
    ]).expect(200);
    const rows = await sql`select kind, count(*)::int from statements group by kind order by kind`;
    // One INSERT … ON CONFLICT DO UPDATE does both.
    expect(rows.map(({ kind, count }) => [kind, count])).toEqual([
      ['DELETE', 1],
      ['INSERT', 1],
      ['UPDATE', 1],
    ]);
  });

  it('needs as many round trips to the database as one of three operations', async () => {
    const proxy = await startProxy(service.database.url);
    atEnd(() => proxy.close());
    const behind = await startService({ DATABASE_URL: proxy.url, MIGRATIONS: 'off' });
    atEnd(() => behind.close());
    const roundTrips = async (size: number) => {
      const ids = await Promise.all(Array.from({ length: size * 2 }, stored));
      const before = proxy.roundTrips();
      await batch(
        [
          ...ids.slice(0, size).map((id) => replace(id)),
          ...ids.slice(size).map((id) => remove(id)),
          ...Array.from({ length: size }, () => create()),
        ],
        behind.url,
      ).expect(200);
      return proxy.roundTrips() - before;
    };
    // The minimum of several runs, because housekeeping may run at the same time.
    const least = async (size: number) =>
      Math.min(await roundTrips(size), await roundTrips(size), await roundTrips(size));
    await roundTrips(1);
    const few = await least(1);
    expect(await least(60)).toBe(few);
    expect(few).toBeLessThanOrEqual(8);
  });

  it('does not conflict with another one in the opposite order, fifty times at once', async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, stored));
    const missing = Array.from({ length: 10 }, () => randomUUID());
    const forth = [...ids, ...missing];
    const back = [...forth].reverse();
    const patient = await startService({
      DATABASE_URL: service.database.url,
      DATABASE_ACQUIRE_TIMEOUT_MS: '30000',
      DATABASE_STATEMENT_TIMEOUT_MS: '30000',
    });
    atEnd(() => patient.close());
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        batch(
          (i % 2 === 0 ? forth : back).map((id) => replace(id)),
          patient.url,
        ),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const versions = answers.flatMap(({ body }) =>
      (body.data as Result[])
        .filter(({ project }) => project.id === ids[0])
        .map(({ project }) => project.version),
    );
    // Each of them has written after another one, and none has overwritten another.
    expect(versions.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i + 2));
  });

  it('that removes projects does not conflict with one that replaces the same projects', async () => {
    const kept = await Promise.all(Array.from({ length: 4 }, stored));
    for (let round = 0; round < 10; round++) {
      const [a, b] = [await stored(), await stored()];
      const answers = await Promise.all([
        batch([replace(a), ...kept.map((id) => replace(id)), remove(b)]),
        batch([replace(b), ...kept.map((id) => replace(id)).reverse(), remove(a)]),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    }
  });
});

describe('an invalid batch', () => {
  it.each([
    ['no operations', { operations: [] }, 'operations', 'must be a list of 1 to 1000'],
    ['missing operations', {}, 'operations', 'must be a list of 1 to 1000'],
    ['null', { operations: null }, 'operations', 'must be a list of 1 to 1000'],
    ['an object', { operations: { length: 1 } }, 'operations', 'must be a list of 1 to 1000'],
    [
      '1,001 operations',
      { operations: Array.from({ length: 1001 }, () => create()) },
      'operations',
      'must be a list of 1 to 1000',
    ],
    ['an unknown field next to them', { operations: [create()], x: 1 }, 'x', 'there is no such'],
    ['an operation that is null', { operations: [null] }, 'operations.0', 'must be an object'],
    ['an operation that is a list', { operations: [[]] }, 'operations.0', 'must be an object'],
    [
      'an operation without a name',
      { operations: [{}] },
      'operations.0.op',
      'must be one of: create',
    ],
    [
      'an unknown operation',
      { operations: [{ op: 'upsert' }] },
      'operations.0.op',
      'must be one of',
    ],
    [
      'an operation whose name is a list',
      { operations: [{ ...create(), op: ['create'] }] },
      'operations.0.op',
      'must be one of',
    ],
    [
      'an unknown field of an operation',
      { operations: [{ ...create(), id: randomUUID() }] },
      'operations.0.id',
      'there is no such field',
    ],
    [
      'an invalid id',
      { operations: [create(), remove('42')] },
      'operations.1.id',
      'must be a UUID',
    ],
    [
      'an invalid ifMatch',
      { operations: [remove(randomUUID(), '7')] },
      'operations.0.ifMatch',
      'must be * or a list of ETags such as "7"',
    ],
    [
      'an ifMatch that is null',
      { operations: [{ op: 'delete', id: randomUUID(), ifMatch: null }] },
      'operations.0.ifMatch',
      'must be * or a list of ETags such as "7"',
    ],
    [
      'a missing project',
      { operations: [{ op: 'create' }] },
      'operations.0.project',
      'must be an object',
    ],
    [
      'a project that is a list',
      { operations: [{ op: 'create', project: [aProject()] }] },
      'operations.0.project',
      'must be an object',
    ],
    [
      'a project with an unknown field',
      { operations: [{ op: 'create', project: { ...aProject(), version: 7 } }] },
      'operations.0.project.version',
      'there is no such field',
    ],
    [
      'a name that is too long, in the 18th',
      {
        operations: [
          ...Array.from({ length: 17 }, () => create()),
          create(aProject({ name: 'x'.repeat(256) })),
        ],
      },
      'operations.17.project.name',
      'must be text of 1 to 255 characters',
    ],
  ])('is refused by name for %s', async (_, body, path, message) => {
    const answer = await request(service.url).post(BATCH).send(body).expect(400);
    expect(answer.body.code).toBe('validation_failed');
    expect(answer.body.errors).toEqual([{ path, message: expect.stringContaining(message) }]);
  });

  it('is refused by both indexes for an id in two operations', async () => {
    const id = randomUUID();
    const { body } = await batch([
      remove(id),
      create(),
      replace(randomUUID()),
      replace(id.toUpperCase()),
    ]).expect(400);
    expect(body).toMatchObject({ code: 'validation_failed' });
    expect(body.errors).toEqual([
      { path: 'operations.0.id', message: 'occurs in two operations' },
      { path: 'operations.3.id', message: 'occurs in two operations' },
    ]);
  });

  /**
   * Returns the processor time of the fastest of three runs, in milliseconds, which excludes compilation and garbage
   * collection.
   */
  async function computing(work: () => unknown): Promise<number> {
    const times: number[] = [];
    for (let i = 0; i < 3; i++) {
      const before = process.cpuUsage();
      await work();
      times.push(process.cpuUsage(before).user / 1000);
    }
    return Math.min(...times);
  }

  async function send(body: string): Promise<{ status: number; text: string }> {
    return await request(service.url).post(BATCH).type('application/json').send(body);
  }

  const MEGABYTE = 1_000_000;
  const filled = (begin: string, item: string, end: string) =>
    begin + Array.from({ length: MEGABYTE / (item.length + 1) - 100 }, () => item).join() + end;
  const fields = (count: number) => Array.from({ length: count }, (_, i) => `"k${i}":1`).join();

  it.each([
    ['empty operations', filled('{"operations":[', '{}', ']}')],
    ['numbers', filled('{"operations":[', '1', ']}')],
    ['empty lists in a project', filled('{"operations":[{"op":"create","project":[', '[]', ']}]}')],
    [
      'a thousand operations of ninety unknown fields',
      `{"operations":[${Array.from({ length: 1000 }, () => `{"op":"create",${fields(90)}}`).join()}]}`,
    ],
    [
      'unknown operations with long names',
      `{"operations":[${Array.from({ length: 1000 }, () => `{"op":"${'x'.repeat(950)}"}`).join()}]}`,
    ],
    [
      'nesting',
      `{"operations":[{"op":"create","project":${'['.repeat(3000)}${']'.repeat(3000)}}]}`,
    ],
    [
      'a thousand of one id',
      JSON.stringify({
        operations: Array.from({ length: 1000 }, () =>
          remove('0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10'),
        ),
      }),
    ],
  ])(
    'of a megabyte of %s is refused in at most three times the time of parsing it and of a plain batch',
    async (_, body) => {
      const { status, text } = await send(body);
      expect(status).toBe(400);
      expect(Buffer.byteLength(text)).toBeLessThan(12_000);

      const description = 'x'.repeat(700);
      const plain = JSON.stringify({
        operations: Array.from({ length: 1000 }, () => create(aProject({ description }))),
      });
      // Other work of the process may disturb a round, but not five in a row.
      const ratios: number[] = [];
      do {
        const parsing = await computing(() => JSON.parse(body) as unknown);
        const ofPlain = await computing(() => send(plain));
        ratios.push((await computing(() => send(body))) / (parsing + ofPlain));
      } while (ratios.length < 5 && ratios.at(-1)! > 3);
      expect(Math.min(...ratios)).toBeLessThan(3);
    },
  );
});

describe('writeProjects in code', () => {
  it('is part of the given transaction', async () => {
    const { db } = connect({ url: service.database.url });
    const project = aProject();
    const undone = inTransaction(db, async (tx) => {
      const projects = createProjectsFactory(tx);
      const [result] = await projects.writeProjects([{ op: 'create', project }]);
      expect((await projects.getProject(result!.project!.id)).name).toBe(project.name);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    expect(await observe()`select from projects where name = ${project.name}`).toHaveLength(0);
  });
});
