import { randomUUID } from 'node:crypto';
import net from 'node:net';
import type postgres from 'postgres';
import request from 'supertest';
import { createIdempotencyFactory } from '../../src/db/factories/idempotency.factory.js';
import { aProject } from '../support/builders.js';
import { atEnd, connect, connectPlainly, endEachTest, until } from '../support/connections.js';
import { createTestDatabase } from '../support/database.js';
import { killServices, startProcess } from '../support/process.js';
import { startProxy } from '../support/proxy.js';
import { exchangeOne, head } from '../support/raw-http.js';
import { startService, type TestService } from '../support/service.js';

const LIST = '/api/projects';

let service: TestService;
// The limits are long for a busy machine, because these tests do not measure the wait for a connection.
const PATIENT = { DATABASE_ACQUIRE_TIMEOUT_MS: '20000' };
beforeAll(async () => (service = await startService(PATIENT)));
afterAll(async () => {
  await killServices();
  await service.close();
});
endEachTest();

const observe = () => connectPlainly(service.database.url);

/** Housekeeping removes nothing from this database. */
async function databaseWithoutService(): Promise<string> {
  const database = await createTestDatabase();
  atEnd(() => database.drop());
  return database.url;
}

function post(key: string, body: object | string, url = service.url, path = LIST): request.Test {
  return request(url).post(path).set('Idempotency-Key', key).type('application/json').send(body);
}

/** Starts another instance of the service on the same database. */
async function another(variables: Record<string, string> = {}): Promise<string> {
  const instance = await startService({
    DATABASE_URL: service.database.url,
    ...PATIENT,
    ...variables,
  });
  atEnd(() => instance.close());
  return instance.url;
}

/** Starts the service in a separate process on the same database. */
async function aProcess() {
  const started = await startProcess({ DATABASE_URL: service.database.url });
  return { ...started, url: await started.url };
}

/** Returns an answer without its time and its request id. */
function seen({ status, headers, text }: request.Response) {
  const { date, 'x-request-id': id, 'idempotency-replayed': replayed, ...rest } = headers;
  return { status, headers: rest, text };
}

const isReplayed = ({ headers }: request.Response) => headers['idempotency-replayed'] === 'true';

const named = (sql: postgres.Sql, name: string) =>
  sql`select id from projects where name = ${name}`;

interface Hold {
  /** Returns the backends that wait. */
  waiting: () => Promise<number[]>;
  release: () => void;
}

/** Holds every request that has claimed its key, before it writes a project or before it stores its answer. */
async function hold(before: 'work' | 'answer'): Promise<Hold> {
  const sql = connectPlainly(service.database.url, { max: 2 });
  if (before === 'answer') await haltAnswers(sql);
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  atEnd(() => release());
  await new Promise<void>((resolve, reject) => {
    sql
      .begin(async (tx) => {
        if (before === 'work') await tx`lock table projects in share mode`;
        else await tx`select pg_advisory_xact_lock(42)`;
        resolve();
        await released;
      })
      .catch(reject);
  });
  const waiting = async () => {
    const rows = await sql`select pid from pg_locks where not granted
      and database = (select oid from pg_database where datname = current_database())
      and (relation = 'projects'::regclass or locktype = 'advisory' and objid = 42)`;
    return rows.map(({ pid }) => pid as number);
  };
  return { waiting, release };
}

async function haltAnswers(sql: postgres.Sql): Promise<void> {
  await sql.unsafe(`
    create function halt() returns trigger language plpgsql as $$
    begin perform pg_advisory_xact_lock_shared(42); return new; end $$;
    create trigger halt before update on idempotency_keys for each row execute function halt();`);
  atEnd(() => sql.unsafe('drop trigger halt on idempotency_keys; drop function halt'));
}

describe('the same POST with one Idempotency-Key', () => {
  it('creates one row and gives sixteen identical answers when it is sent sixteen times at once', async () => {
    const key = randomUUID();
    const project = aProject({ technologies: ['é', '🚀', '"\\'] });
    const urls = [service.url, await another()];
    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, i) => post(key, project, urls[i % 2])),
    );
    expect(answers.filter((answer) => !isReplayed(answer))).toHaveLength(1);
    expect(new Set(answers.map((answer) => JSON.stringify(seen(answer)))).size).toBe(1);
    const { status, body, headers } = answers[0]!;
    expect(status).toBe(201);
    expect(body.data).toMatchObject({ ...project, version: 1 });
    expect(headers).toMatchObject({ location: `${LIST}/${body.data.id}`, etag: '"1"' });
    expect(await named(observe(), project.name)).toEqual([{ id: body.data.id }]);
  });

  it('gets the first answer later, even after the project was changed and removed', async () => {
    const key = randomUUID();
    const project = aProject();
    const first = await post(key, project).expect(201);
    await request(service.url).patch(first.headers.location!).send({ name: 'Other' }).expect(200);
    await request(service.url).delete(first.headers.location!).expect(200);
    const again = await post(key, project);
    expect(seen(again)).toEqual(seen(first));
    expect([isReplayed(first), isReplayed(again)]).toEqual([false, true]);
    expect(again.headers['x-request-id']).not.toBe(first.headers['x-request-id']);
    await request(service.url).get(first.headers.location!).expect(404);
  });

  it('writes nothing and takes no lock when it is repeated later', async () => {
    const key = randomUUID();
    const project = aProject();
    await post(key, project).expect(201);
    const sql = observe();
    await sql.begin(async (tx) => {
      await tx`select from idempotency_keys where key = ${key} for update`;
      expect(isReplayed(await post(key, project).expect(201))).toBe(true);
    });
  });

  it('is recognised with different white space and order of fields', async () => {
    const key = randomUUID();
    const { name, description, technologies } = aProject();
    const first = await post(key, { name, description, technologies }).expect(201);
    const spaced = JSON.stringify({ technologies, name, description }, undefined, 2);
    const again = await post(key, spaced);
    expect(seen(again)).toEqual(seen(first));
    expect(isReplayed(again)).toBe(true);
  });

  it('gets 422 with another body or on another route, and nothing is written', async () => {
    const key = randomUUID();
    const project = aProject();
    await post(key, project).expect(201);
    const other = aProject();
    const operations = [{ op: 'create', project: other }];
    for (const answer of [
      await post(key, other),
      await post(key, { ...project, technologies: [...project.technologies].reverse() }),
      await post(key, { operations }, service.url, `${LIST}/batch`),
    ]) {
      expect(answer.status).toBe(422);
      expect(answer.body).toMatchObject({ success: false, code: 'idempotency_key_reused' });
      expect(isReplayed(answer)).toBe(false);
    }
    expect(await named(observe(), other.name)).toEqual([]);
    expect(isReplayed(await post(key, project).expect(201))).toBe(true);
  });

  it('gets identical results for a batch, which is not executed again', async () => {
    const key = randomUUID();
    const id = randomUUID();
    const operations = [
      { op: 'create', project: aProject() },
      { op: 'replace', id, project: aProject() },
    ];
    const send = () => post(key, { operations }, service.url, `${LIST}/batch`);
    const [first, again] = [await send().expect(200), await send().expect(200)];
    expect(seen(again)).toEqual(seen(first));
    expect([isReplayed(first), isReplayed(again)]).toEqual([false, true]);
    const { body } = await request(service.url).get(`${LIST}/${id}`).expect(200);
    expect(body.data.version).toBe(1);
  });

  it('records its author and its request, as without a key', async () => {
    const { body, headers } = await post(randomUUID(), aProject()).expect(201);
    const [change] = await observe()`
      select actor, request_id, version from changes where entity_id = ${body.data.id}`;
    expect(change).toEqual({ actor: '', request_id: headers['x-request-id'], version: 1 });
  });
});

describe('an Idempotency-Key', () => {
  it.each([
    ['that is empty', ''],
    ['of 256 characters', 'k'.repeat(256)],
    ['with a space', 'a b'],
    ['with a tab', 'a\tb'],
    ['beyond ASCII', 'cl\xe9'],
  ])('gets 400 if it is %s', async (_, key) => {
    const bytes = JSON.stringify(aProject());
    const headers = ['Content-Type: application/json', `Content-Length: ${bytes.length}`];
    const lines = [...headers, `Idempotency-Key: ${key}`];
    const answer = await exchangeOne(service.url, head(`POST ${LIST} HTTP/1.1`, ...lines), bytes);
    expect(JSON.parse(answer.body)).toMatchObject({
      status: 400,
      code: 'invalid_header',
      detail: 'Idempotency-Key must be 1 to 255 visible ASCII characters, given once.',
    });
  });

  it('gets 400 if it is given twice', async () => {
    const bytes = JSON.stringify(aProject());
    const headers = ['Content-Type: application/json', `Content-Length: ${bytes.length}`];
    const lines = [...headers, 'Idempotency-Key: a', 'Idempotency-Key: a'];
    const answer = await exchangeOne(service.url, head(`POST ${LIST} HTTP/1.1`, ...lines), bytes);
    expect(JSON.parse(answer.body)).toMatchObject({ status: 400, code: 'invalid_header' });
  });

  it.each(['k'.repeat(255), '"8e03978e-40d5-43dd-bc93-6894a57f9324"', '!~\'";,='])(
    'may be %s',
    async (key) => {
      const project = aProject();
      await post(key, project).expect(201);
      expect(isReplayed(await post(key, project).expect(201))).toBe(true);
    },
  );

  it('stays free when the request was refused or failed', async () => {
    const key = randomUUID();
    const missing = [{ op: 'delete', id: randomUUID() }];
    await post(key, { operations: missing }, service.url, `${LIST}/batch`).expect(404);
    await post(key, aProject({ name: '' })).expect(400);
    const sql = observe();
    await sql`alter table projects add constraint refused check (name <> 'Refused') not valid`;
    atEnd(() => sql`alter table projects drop constraint refused`);
    await post(key, aProject({ name: 'Refused' })).expect(400, /invalid_value/);
    const project = aProject();
    expect(isReplayed(await post(key, project).expect(201))).toBe(false);
    expect(isReplayed(await post(key, project).expect(201))).toBe(true);
  });

  it('is free again after exactly 24 hours, for one of two concurrent requests', async () => {
    const key = randomUUID();
    const sql = observe();
    const setAge = (age: string) =>
      sql`update idempotency_keys set created_at = now() - ${age}::interval where key = ${key}`;
    const project = aProject();
    await post(key, project).expect(201);
    await setAge('23 hours 59 minutes');
    expect(isReplayed(await post(key, project))).toBe(true);
    await setAge('24 hours');
    const other = aProject();
    const answers = await Promise.all(Array.from({ length: 4 }, () => post(key, other)));
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201]);
    expect(answers.filter(isReplayed)).toHaveLength(3);
    expect(await named(sql, other.name)).toHaveLength(1);
    await post(key, project).expect(422);
  });

  it('is removed after it has expired, the oldest first and a limited number at once', async () => {
    const url = await databaseWithoutService();
    const sql = connectPlainly(url);
    await sql`insert into idempotency_keys (caller, key, fingerprint, created_at)
      select 'c', n, '', now() - make_interval(hours => n) from generate_series(20, 30) as n`;
    const keys = createIdempotencyFactory(connect({ url }).db);
    const left = async () =>
      (await sql`select key from idempotency_keys order by created_at desc`).map(({ key }) => key);
    expect(await keys.removeExpired(3)).toBe(3);
    expect(await left()).toEqual(['20', '21', '22', '23', '24', '25', '26', '27']);
    expect(await keys.removeExpired()).toBe(4);
    expect(await keys.removeExpired()).toBe(0);
    expect(await left()).toEqual(['20', '21', '22', '23']);
  });

  it('is not removed while a request claims it, and the removal does not wait', async () => {
    const url = await databaseWithoutService();
    const sql = connectPlainly(url);
    await sql`insert into idempotency_keys (caller, key, fingerprint, created_at)
      values ('', 'claimed', '', now() - interval '2 days'), ('', 'other', '', now() - interval '1 day')`;
    const { db } = connect({ url });
    await db.transaction(async (tx) => {
      expect(await createIdempotencyFactory(tx).claim({ caller: '', key: 'claimed' })).toBe(
        undefined,
      );
      expect(await createIdempotencyFactory(db).removeExpired()).toBe(1);
    });
    expect(await sql`select key from idempotency_keys`).toEqual([{ key: 'claimed' }]);
  });
});

describe('a POST with a key whose first request', () => {
  it('is slow gets 503 with Retry-After, and the answer later', async () => {
    const key = randomUUID();
    const project = aProject();
    const impatient = await another({ DATABASE_STATEMENT_TIMEOUT_MS: '300' });
    const { waiting, release } = await hold('work');
    const first = post(key, project).then((answer) => answer);
    await until(async () => (await waiting()).length === 1);
    const refused = await post(key, project, impatient);
    expect(refused.status).toBe(503);
    expect(refused.headers['retry-after']).toBe('1');
    expect(refused.body).toMatchObject({ code: 'statement_timeout' });
    release();
    const answered = await first;
    const again = await post(key, project);
    expect(seen(again)).toEqual(seen(answered));
    expect(isReplayed(again)).toBe(true);
  });

  it('was cancelled by its client gets the answer that nobody read', async () => {
    const key = randomUUID();
    const project = aProject();
    const { waiting, release } = await hold('work');
    const { hostname, port } = new URL(service.url);
    const socket = net.connect(Number(port), hostname);
    const bytes = JSON.stringify(project);
    const headers = ['Content-Type: application/json', `Content-Length: ${bytes.length}`];
    socket.write(head(`POST ${LIST} HTTP/1.1`, ...headers, `Idempotency-Key: ${key}`) + bytes);
    await until(async () => (await waiting()).length === 1);
    socket.destroy();
    release();
    const sql = observe();
    await until(async () => (await named(sql, project.name)).length === 1);
    const again = await post(key, project).expect(201);
    expect(isReplayed(again)).toBe(true);
    expect(await named(sql, project.name)).toEqual([{ id: again.body.data.id }]);
  });

  it('was answered before the service was restarted gets the same answer', async () => {
    const key = randomUUID();
    const project = aProject();
    const before = await aProcess();
    const first = await post(key, project, before.url).expect(201);
    before.send('SIGTERM');
    expect(await before.ended).toBe(0);
    const after = await aProcess();
    const again = await post(key, project, after.url);
    expect(seen(again)).toEqual(seen(first));
    expect(isReplayed(again)).toBe(true);
  }, 30_000);

  it.each(['work', 'answer'] as const)(
    'ended with its service before its %s is executed once',
    async (place) => {
      const key = randomUUID();
      const project = aProject();
      const doomed = await aProcess();
      const { waiting, release } = await hold(place);
      const lost = post(key, project, doomed.url).then(
        () => 'answered',
        () => 'cut off',
      );
      await until(async () => (await waiting()).length === 1);
      doomed.send('SIGKILL');
      expect(await doomed.ended).toBe('SIGKILL');
      expect(await lost).toBe('cut off');
      release();
      const next = await aProcess();
      const retried = await post(key, project, next.url).expect(201);
      expect(isReplayed(retried)).toBe(false);
      expect(await named(observe(), project.name)).toEqual([{ id: retried.body.data.id }]);
    },
    30_000,
  );

  it.each(['work', 'answer'] as const)(
    'lost its backend before its %s is executed once',
    async (place) => {
      const key = randomUUID();
      const project = aProject();
      const { waiting, release } = await hold(place);
      const lost = post(key, project).then((answer) => answer);
      await until(async () => (await waiting()).length === 1);
      const sql = observe();
      await sql`select pg_terminate_backend(${(await waiting())[0]!})`;
      const { status, headers } = await lost;
      expect([status, headers['retry-after']]).toEqual([503, '1']);
      expect([headers.location, headers.etag]).toEqual([undefined, undefined]);
      release();
      const retried = await post(key, project).expect(201);
      expect(isReplayed(retried)).toBe(false);
      expect(await named(sql, project.name)).toEqual([{ id: retried.body.data.id }]);
    },
  );

  it('lost its connection in the COMMIT is executed once, whether the COMMIT arrived or not', async () => {
    const proxy = await startProxy(service.database.url);
    atEnd(() => proxy.close());
    const behind = await another({ DATABASE_URL: proxy.url, MIGRATIONS: 'off' });
    for (let round = 0; round < 5; round++) {
      const key = randomUUID();
      const project = aProject();
      await post(randomUUID(), aProject(), behind).expect(201);
      proxy.resetOn('commit');
      const { status, headers } = await post(key, project, behind);
      expect([status, headers.location, headers.etag]).toEqual([503, undefined, undefined]);
      proxy.resetOn(undefined);
      const retried = await post(key, project, behind).expect(201);
      expect(await named(observe(), project.name)).toEqual([{ id: retried.body.data.id }]);
    }
  });

  it('had a conflict of transactions is executed once again from the start', async () => {
    const key = randomUUID();
    const project = aProject();
    const url = `${service.database.url}?lock_timeout=300`;
    const impatient = await another({ DATABASE_URL: url });
    const { waiting, release } = await hold('work');
    const sending = post(key, project, impatient).then((answer) => answer);
    const tries = new Set<number>();
    const sql = observe();
    await until(async () => {
      for (const { at } of await sql`
        select extract(epoch from xact_start) as at from pg_stat_activity
        where pid = any(${await waiting()})`)
        tries.add(at as number);
      return tries.size === 2;
    });
    release();
    const { status, body } = await sending;
    expect(status).toBe(201);
    expect(await named(sql, project.name)).toEqual([{ id: body.data.id }]);
    expect(isReplayed(await post(key, project).expect(201))).toBe(true);
  });
});

describe('a POST without a key', () => {
  it('needs one round trip to the database', async () => {
    const proxy = await startProxy(service.database.url);
    atEnd(() => proxy.close());
    const behind = await another({
      DATABASE_URL: proxy.url,
      DATABASE_MAX_CONNECTIONS: '1',
      MIGRATIONS: 'off',
    });
    const send = () => request(behind).post(LIST).send(aProject()).expect(201);
    const { headers } = await send();
    expect(headers).not.toHaveProperty('idempotency-replayed');
    const costs: number[] = [];
    for (let i = 0; i < 10; i++) {
      const before = proxy.roundTrips();
      await send();
      costs.push(proxy.roundTrips() - before);
    }
    // Housekeeping may run at the same time as one of them.
    expect(Math.min(...costs)).toBe(1);
  });
});
