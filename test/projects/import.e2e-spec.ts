import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import request from 'supertest';
import type { ProjectValues } from '../../src/db/factories/projects/columns.js';
import type { ImportRow } from '../../src/db/entity/row-import.js';
import { aProject } from '../support/builders.js';
import { sleep, until } from '../support/connections.js';
import { killServices, startProcess } from '../support/process.js';
import { exchange, exchangeOne, head } from '../support/raw-http.js';
import { startService, type TestService } from '../support/service.js';
import { CSV, IMPORT, NDJSON, ndjson, onDatabase, transfersOf } from '../support/transfer.js';

const MOMENT = '2020-02-29T12:00:00.123Z';
const NO_COUNTS = { created: 0, replaced: 0, unchanged: 0, refused: 0 };

let service: TestService;
let api: ReturnType<typeof request>;
beforeAll(async () => {
  service = await startService({ BODY_LIMIT: '1kb', DATABASE_MAX_CONNECTIONS: '4' });
  api = request(service.url);
});
beforeEach(() =>
  onDatabase(service.database.url, async (sql) => {
    await sql`truncate projects`;
    await sql`truncate changes, change_commits`;
  }),
);
afterAll(async () => {
  await service.close();
  await killServices();
});

function post(body: string | Buffer, query = '', headers: Record<string, string> = {}) {
  return api
    .post(IMPORT + query)
    .set({ 'Content-Type': NDJSON, ...headers })
    .send(body);
}

async function report(body: string | Buffer, query = '', headers: Record<string, string> = {}) {
  const answer = await post(body, query, headers);
  expect(answer.body).toMatchObject({ success: true });
  expect(answer.status).toBe(200);
  return answer.body.data;
}

interface Stored extends ImportRow<ProjectValues> {
  id: string;
}

async function stored(): Promise<Stored[]> {
  const { body } = await api.get('/api/projects?limit=200&sort=name').expect(200);
  return body.data;
}

async function count(): Promise<number> {
  const { body } = await api.get('/api/projects?limit=1&count=exact').expect(200);
  return body.meta.total;
}

function rows(
  length: number,
  values: (i: number) => object = () => ({}),
): ImportRow<ProjectValues>[] {
  return Array.from({ length }, (_, i) => ({
    ...aProject({ name: `Project ${i}`.padStart(20) }),
    ...values(i),
  }));
}

describe('an imported row', () => {
  it('without an id creates a project, with the times and the version of the row', async () => {
    const given = { createdAt: MOMENT, updatedAt: '2021-01-01T02:00:00+02:00', version: 7 };
    const plain = aProject({ name: ' A ' });
    const dated = { ...aProject({ name: 'B' }), ...given };
    expect(await report(ndjson(plain, dated))).toEqual({ ...NO_COUNTS, created: 2, errors: [] });
    expect(await stored()).toEqual([
      {
        ...plain,
        name: 'A',
        id: expect.any(String),
        createdAt: expect.any(String),
        updatedAt: expect.any(String),
        version: 1,
      },
      { ...dated, id: expect.any(String), updatedAt: '2021-01-01T00:00:00.000Z' },
    ]);
  });

  it('with an id replaces the project, keeps it when nothing differs, or creates it with that id', async () => {
    const { body } = await api.post('/api/projects').send(aProject({ name: 'old' }));
    const same = await api.post('/api/projects').send(aProject({ name: 'same' }));
    const id = randomUUID();
    const file = ndjson(
      {
        ...aProject({ name: 'new' }),
        id: body.data.id.toUpperCase(),
        createdAt: MOMENT,
        version: 50,
      },
      { ...same.body.data, version: 90, updatedAt: MOMENT },
      { ...aProject({ name: 'other' }), id },
    );
    expect(await report(file)).toEqual({
      ...NO_COUNTS,
      created: 1,
      replaced: 1,
      unchanged: 1,
      errors: [],
    });
    const [replaced, other, unchanged] = await stored();
    expect(replaced).toMatchObject({
      ...body.data,
      name: 'new',
      version: 2,
      updatedAt: expect.any(String),
      description: expect.any(String),
    });
    expect(
      replaced!.updatedAt! > body.data.updatedAt || replaced!.updatedAt === body.data.updatedAt,
    ).toBe(true);
    expect(other).toMatchObject({ id, version: 1 });
    expect(unchanged).toEqual(same.body.data);
  });

  it('takes effect in the order of the file, also when its id occurs again', async () => {
    const id = randomUUID();
    const names = Array.from({ length: 30 }, (_, i) => `name ${i}`);
    const file = ndjson(...names.map((name) => ({ ...aProject({ name }), id })), {
      ...aProject({ name: 'name 29' }),
      id: id.toUpperCase(),
    });
    expect(await report(file)).toMatchObject({ created: 1, replaced: 29, unchanged: 1 });
    expect(await stored()).toEqual([expect.objectContaining({ id, name: 'name 29', version: 30 })]);
  });

  it('appears in the history with the request that wrote it', async () => {
    const id = randomUUID();
    await report(ndjson({ ...aProject(), id }), '', { 'X-Request-Id': 'the-import' });
    await report(ndjson({ ...aProject({ name: 'changed' }), id }), '', {
      'X-Request-Id': 'another',
    });
    const changes = await onDatabase(
      service.database.url,
      (sql) =>
        sql`select action, version, request_id from changes where entity_id = ${id} order by sequence`,
    );
    expect([...changes]).toEqual([
      { action: 'created', version: 1, request_id: 'the-import' },
      { action: 'updated', version: 2, request_id: 'another' },
    ]);
  });
});

describe('refused rows', () => {
  const good = aProject({ name: 'good' });
  const file = ndjson(
    good,
    { ...good, name: '' },
    { ...good, description: 'x'.repeat(20_001) },
    { ...good, technologies: ['a', 'a'] },
    { ...good, id: '42', version: 0, createdAt: '2026-02-30T00:00:00Z' },
    { ...good, colour: 'red', constructor: 1 },
    { ...good, description: 'a\0b' },
    `{"name":"\\ud800","description":"","technologies":["\\udc00"]}`,
    '[]',
    '{"name":',
    `{"name":${'['.repeat(100_000)}${']'.repeat(100_000)},"description":"","technologies":[]}`,
    { name: 'only' },
    good,
  );
  const date = 'must be a date-time such as 2026-01-31T12:00:00Z';
  const errors = [
    { line: 2, path: 'name', message: 'must be text of 1 to 255 characters' },
    { line: 3, path: 'description', message: 'must be text of 0 to 20000 characters' },
    { line: 4, path: 'technologies', message: 'must not contain duplicates' },
    { line: 5, path: 'id', message: 'must be a UUID' },
    { line: 5, path: 'createdAt', message: date },
    { line: 5, path: 'version', message: 'must be a whole number from 1 to 1073741823' },
    { line: 6, path: 'constructor', message: 'there is no such field' },
    { line: 7, path: 'description', message: 'contains the character U+0000' },
    { line: 8, path: 'name', message: 'contains an unpaired surrogate' },
    { line: 8, path: 'technologies', message: 'contains an unpaired surrogate' },
    { line: 9, path: '', message: 'must be a JSON object' },
    { line: 10, path: '', message: 'is not valid JSON' },
    { line: 11, path: 'name', message: 'nested more than 32 levels deep' },
    { line: 12, path: 'description', message: 'must be text of 0 to 20000 characters' },
    { line: 12, path: 'technologies', message: 'must be a list' },
  ];
  const byLine = (faults: { line: number; path: string }[]) =>
    [...faults].sort((a, b) => a.line - b.line || a.path.localeCompare(b.path));

  it('are named by line, field and reason, and nothing is written', async () => {
    const { status, body } = await post(file);
    expect({ status, code: body.code, detail: body.detail, counts: body.counts }).toEqual({
      status: 400,
      code: 'import_refused',
      detail: '11 of 13 rows were refused, so nothing was written.',
      counts: { ...NO_COUNTS, refused: 11 },
    });
    expect(byLine(body.errors)).toEqual(byLine(errors));
    expect(await count()).toBe(0);
  });

  it('are skipped with onError=skip, and the others are written', async () => {
    const data = await report(file, '?onError=skip');
    expect({ ...data, errors: byLine(data.errors) }).toEqual({
      ...NO_COUNTS,
      created: 2,
      refused: 11,
      errors: byLine(errors),
    });
    expect((await stored()).map(({ name }) => name)).toEqual(['good', 'good']);
  });

  it('have the same errors in CSV, with the line where the row begins', async () => {
    const csv =
      'name,description,technologies\r\ngood,"two\r\nlines",[]\r\n,,[]\r\ngood,,nonsense\r\n';
    const { body } = await post(csv, '', { 'Content-Type': CSV });
    expect(body).toMatchObject({
      code: 'import_refused',
      errors: [
        { line: 4, path: 'name', message: 'must be text of 1 to 255 characters' },
        { line: 5, path: 'technologies', message: expect.stringContaining('must be a JSON list') },
      ],
    });
  });

  it('roll back the whole import even at the end of a long file', async () => {
    const { body } = await post(ndjson(...rows(5000), 'nonsense'));
    expect(body).toMatchObject({ code: 'import_refused', errors: [{ line: 5001 }] });
    expect(await count()).toBe(0);
    const written = await onDatabase(
      service.database.url,
      (sql) => sql`select from changes limit 1`,
    );
    expect(written).toHaveLength(0);
  });

  it('are all counted, and the first hundred are reported', async () => {
    const { body } = await post('{"name":1}\n'.repeat(20_000));
    expect(body.counts).toEqual({ ...NO_COUNTS, refused: 20_000 });
    expect(new Set(body.errors.map(({ line }: { line: number }) => line)).size).toBe(100);
  });

  it('of a constraint that only the database checks are reported by line, and nothing is written', async () => {
    await onDatabase(service.database.url, async (sql) => {
      await sql`alter table projects add constraint own check (name <> 'unwanted') not valid`;
    });
    const answer = await post(
      ndjson(...rows(1500), aProject({ name: 'unwanted' })),
      '?onError=skip',
    );
    await onDatabase(service.database.url, (sql) => sql`alter table projects drop constraint own`);
    expect(answer.body).toMatchObject({
      status: 400,
      code: 'invalid_value',
      detail: 'The database refused a value of the lines 1001 to 1501.',
    });
    expect(await count()).toBe(0);
  });
});

describe('dryRun', () => {
  it('writes nothing and counts what an import would write', async () => {
    const { body } = await api.post('/api/projects').send(aProject({ name: 'there' }));
    const file = ndjson(
      body.data,
      { ...body.data, id: undefined },
      { ...body.data, name: 'changed' },
      ...rows(1200),
      'nonsense',
    );
    const counts = { created: 1201, replaced: 1, unchanged: 1, refused: 1 };
    expect(await report(file, '?dryRun=true')).toMatchObject(counts);
    expect(await stored()).toEqual([body.data]);
    expect(await report(file, '?dryRun=false&onError=skip')).toMatchObject(counts);
  });

  it.each([
    ['dryRun=1', 'dryRun'],
    ['dryRun=', 'dryRun'],
    ['dryRun=true&dryRun=true', 'dryRun'],
    ['onError=stop', 'onError'],
    ['onErrors=skip', 'onErrors'],
  ])('and onError refuse values such as %s', async (query, path) => {
    const { body } = await post(ndjson(aProject()), `?${query}`);
    expect(body).toMatchObject({ code: 'validation_failed', errors: [{ path }] });
    expect(await count()).toBe(0);
  });
});

describe('an imported file', () => {
  it('may be larger than a body, and may be empty', async () => {
    const data = await report(ndjson(...rows(3000, (i) => ({ description: 'x'.repeat(i % 500) }))));
    expect(data).toEqual({ ...NO_COUNTS, created: 3000, errors: [] });
    expect(await report('')).toEqual({ ...NO_COUNTS, errors: [] });
    expect(await report('\ufeff\r\n\r\n')).toEqual({ ...NO_COUNTS, errors: [] });
  });

  it('of CSV has its header checked before anything is written', async () => {
    for (const [csv, errors] of [
      ['', [{ line: 1, path: 'name', message: 'is missing' }, {}, {}]],
      ['name,description\n', [{ line: 1, path: 'technologies', message: 'is missing' }]],
      [
        'name,description,technologies,Name\n',
        [{ line: 1, path: 'Name', message: 'there is no such column' }],
      ],
      [
        'name,name,description,technologies\n',
        [{ line: 1, path: 'name', message: 'occurs twice' }],
      ],
    ] as const) {
      const { body } = await post(`${csv}${csv && 'a,b,[],c\n'}`, '', { 'Content-Type': CSV });
      expect(body).toMatchObject({ status: 400, code: 'validation_failed', errors });
    }
    expect(await count()).toBe(0);
  });

  it('may be compressed with gzip, and is refused without a write when it is incomplete or not gzip', async () => {
    const packed = gzipSync(ndjson(...rows(3000)));
    expect(await report(packed, '', { 'Content-Encoding': 'gzip' })).toMatchObject({
      created: 3000,
    });
    await onDatabase(service.database.url, (sql) => sql`truncate projects`);
    for (const broken of [
      packed.subarray(0, -5),
      packed.subarray(0, packed.length / 2),
      Buffer.from('{"a":1}\n'),
    ]) {
      const { status, body } = await post(broken, '?onError=skip', { 'Content-Encoding': 'gzip' });
      expect({ status, code: body.code }).toEqual({ status: 400, code: 'bad_request' });
    }
    expect(await count()).toBe(0);
  });

  it('that decompresses to a thousand times its size needs no memory', async () => {
    const bomb = gzipSync(Buffer.alloc(300_000_000, 'x'));
    const before = process.memoryUsage().rss;
    let most = before;
    const looking = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 5);
    const { body } = await post(bomb, '', { 'Content-Encoding': 'gzip' });
    clearInterval(looking);
    expect(body).toMatchObject({ code: 'import_refused', errors: [{ line: 1, path: '' }] });
    expect(most - before).toBeLessThan(100_000_000);
  });

  const READ =
    'This route reads application/x-ndjson, application/ndjson, application/jsonl, text/csv.';
  it.each([
    [{ 'Content-Type': 'application/json' }, READ],
    [{ 'Content-Type': 'text/plain' }, READ],
    [{ 'Content-Type': `${NDJSON}; charset=utf-16` }, 'The body is read as UTF-8 only.'],
    [{ 'Content-Type': `${CSV}; charset="latin1"` }, 'The body is read as UTF-8 only.'],
    [{ 'Content-Encoding': 'br' }, 'The body must be uncompressed or compressed with gzip.'],
    [
      { 'Content-Encoding': 'gzip, gzip' },
      'The body must be uncompressed or compressed with gzip.',
    ],
  ])('with %j gets 415', async (headers, detail) => {
    const { body } = await post(ndjson(aProject()), '', headers);
    expect(body).toMatchObject({ status: 415, code: 'unsupported_media_type', detail });
  });

  it('has a media type, which may name its charset', async () => {
    expect(
      await report(ndjson(aProject()), '', { 'Content-Type': `${NDJSON}; charset=UTF-8` }),
    ).toMatchObject({ created: 1 });
    const bare = await exchangeOne(service.url, head(`POST ${IMPORT} HTTP/1.1`));
    expect(bare.status).toBe(415);
  });
});

describe('the sender of an import', () => {
  const opened: http.ClientRequest[] = [];
  afterEach(() => opened.splice(0).forEach((sender) => sender.destroy()));

  /** Sends this much and then nothing. */
  function send(url: string, text: string, headers = {}): http.ClientRequest {
    const sender = http.request(url + IMPORT, {
      method: 'POST',
      headers: { 'Content-Type': NDJSON, ...headers },
    });
    sender.flushHeaders();
    sender.on('error', () => {});
    sender.write(text);
    opened.push(sender);
    return sender;
  }

  const transactions = ({ database } = service) =>
    onDatabase(database.url, async (sql) => {
      const open = await sql`select from pg_stat_activity where datname = current_database()
        and xact_start is not null and pid <> pg_backend_pid() and backend_type = 'client backend'`;
      return open.length;
    });

  /** Returns the imports that have written a batch and wait for more; housekeeping also has transactions. */
  const imports = ({ database } = service) =>
    onDatabase(database.url, async (sql) => {
      const open = await sql`select from pg_stat_activity where datname = current_database()
        and xact_start is not null and pid <> pg_backend_pid() and query like '%insert into "projects" as known%'`;
      return open.length;
    });

  it('that disconnects in the middle leaves no row and no open transaction', async () => {
    const sender = send(service.url, ndjson(...rows(5000)));
    await until(async () => (await transactions()) === 1);
    sender.destroy();
    await until(async () => (await transactions()) === 0);
    expect(await count()).toBe(0);
  });

  it('that stops sending gets a timeout and leaves nothing', async () => {
    const { limits } = transfersOf(service);
    const { silenceMs } = limits;
    limits.silenceMs = 300;
    try {
      const sender = send(service.url, ndjson(...rows(5000)));
      const answer = await new Promise<http.IncomingMessage>((resolve) =>
        sender.on('response', resolve),
      );
      expect(answer.statusCode).toBe(408);
      expect(answer.headers.connection).toBe('close');
      answer.resume();
    } finally {
      limits.silenceMs = silenceMs;
    }
    await until(async () => (await transactions()) === 0);
    expect(await count()).toBe(0);
  });

  it('may take longer than any other request while it sends', async () => {
    const sender = send(service.url, ndjson(...rows(10)));
    const server = service.app.getHttpServer();
    const [socket] = (await once(server, 'connection')) as [Socket];
    await sleep(50);
    // Node does this after five minutes.
    const late = Object.assign(new Error(), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
    server.emit('clientError', late, socket);
    sender.end(ndjson(...rows(10)));
    const [answer] = (await once(sender, 'response')) as [http.IncomingMessage];
    expect(answer.statusCode).toBe(200);
    expect(await count()).toBe(20);
  });

  it('that has sent little or nothing blocks no import and no export', async () => {
    for (let i = 0; i < 12; i++) send(service.url, i % 2 ? '' : ndjson(...rows(10)));
    const keyed = { 'Idempotency-Key': randomUUID() };
    send(service.url, ndjson(...rows(10)), keyed);
    await sleep(300);
    expect(await transactions()).toBe(0);
    await post(ndjson(aProject())).expect(200);
    await api.get('/api/projects/export').expect(200);
  });

  it('is refused above a limited number, so that exports and other requests get a connection', async () => {
    const { limits } = transfersOf(service);
    for (let i = 0; i < limits.ofAKind; i++) send(service.url, ndjson(...rows(5000)));
    await until(async () => (await imports()) === limits.ofAKind);
    const { body } = await post(ndjson(aProject()));
    expect(body).toMatchObject({
      status: 503,
      code: 'pool_exhausted',
      detail: 'Too many imports are running. Try again later.',
    });
    await api.get('/api/projects/export').expect(200);
    await api.get('/api/projects').expect(200);
    opened.splice(0).forEach((sender) => sender.destroy());
    await until(async () => (await post(ndjson(aProject()))).status === 200);
  });

  it('that sends very slowly is refused, although it never stops', async () => {
    const { limits } = transfersOf(service);
    const { silenceMs, minBytesPerSecond } = limits;
    Object.assign(limits, { silenceMs: 500, minBytesPerSecond: 1000 });
    const sender = send(service.url, '{');
    const dripping = setInterval(() => sender.write(' '), 50);
    try {
      const began = performance.now();
      const [answer] = (await once(sender, 'response')) as [http.IncomingMessage];
      expect(answer.statusCode).toBe(408);
      expect(performance.now() - began).toBeLessThan(5000);
      answer.resume();
    } finally {
      clearInterval(dripping);
      Object.assign(limits, { silenceMs, minBytesPerSecond });
    }
  });

  it('that sends less than a batch holds no transaction while it waits', async () => {
    send(service.url, ndjson(...rows(10)));
    await sleep(200);
    expect(await transactions()).toBe(0);
  });

  it('is read no faster than the database writes', async () => {
    const held = await onDatabase(service.database.url, (sql) =>
      sql.begin(async (tx) => {
        await tx`lock table projects in share mode`;
        const sender = send(service.url, '');
        let sent = 0;
        const row = ndjson(...rows(1, () => ({ description: 'x'.repeat(10_000) })));
        // Wait until nothing moves, because the buffers in between are full.
        while (await Promise.race([written(sender, row), sleep(500).then(() => false)]))
          sent += row.length;
        sender.destroy();
        return sent;
      }),
    );
    expect(held).toBeGreaterThan(500_000);
    expect(held).toBeLessThan(30_000_000);
    await until(async () => (await transactions()) === 0);
    expect(await count()).toBe(0);
  });

  function written(sender: http.ClientRequest, text: string): Promise<boolean> {
    return new Promise((resolve) => sender.write(text, () => resolve(true)));
  }

  it('may use its connection again after its file was refused before its end', async () => {
    const file = 'no such header\n'.padEnd(300_000, 'x\n');
    const first = head(
      `POST ${IMPORT} HTTP/1.1`,
      `Content-Type: ${CSV}`,
      `Content-Length: ${file.length}`,
    ).replace('Connection: close\r\n', '');
    const answers = await exchange(service.url, first, file, head('GET /health/live HTTP/1.1'));
    expect(answers.map(({ status }) => status)).toEqual([400, 200]);
  });

  it('may use its connection again after the database refused a row before its end', async () => {
    await onDatabase(service.database.url, async (sql) => {
      await sql`alter table projects add constraint own check (name <> 'unwanted') not valid`;
    });
    const file = ndjson(aProject({ name: 'unwanted' }), ...rows(60_000));
    const first = head(
      `POST ${IMPORT} HTTP/1.1`,
      `Content-Type: ${NDJSON}`,
      `Content-Length: ${Buffer.byteLength(file)}`,
    ).replace('Connection: close\r\n', '');
    const answers = await exchange(service.url, first, file, head('GET /health/live HTTP/1.1'));
    await onDatabase(service.database.url, (sql) => sql`alter table projects drop constraint own`);
    expect(answers.map(({ status }) => status)).toEqual([400, 200]);
  });

  it('that never ends is refused after the maximum time of an import', async () => {
    const { limits } = transfersOf(service);
    const { durationMs } = limits;
    limits.durationMs = 700;
    const sender = send(service.url, '{');
    const dripping = setInterval(() => sender.write(' '), 50);
    try {
      const [answer] = (await once(sender, 'response')) as [http.IncomingMessage];
      expect(answer.statusCode).toBe(408);
      answer.resume();
    } finally {
      clearInterval(dripping);
      limits.durationMs = durationMs;
    }
  });

  it('leaves one connection to others on a service with few connections', async () => {
    const small = await startService({ DATABASE_MAX_CONNECTIONS: '2' });
    try {
      send(small.url, ndjson(...rows(5000)));
      await until(async () => (await imports(small)) === 1);
      expect((await fetch(`${small.url}/api/projects/export`)).status).toBe(503);
      expect((await fetch(`${small.url}/api/projects`)).status).toBe(200);
    } finally {
      opened.splice(0).forEach((sender) => sender.destroy());
      await small.close();
    }
  });

  it('has written nothing if the service is killed before its answer', async () => {
    const killed = await startProcess({
      DATABASE_URL: service.database.url,
      MIGRATIONS: 'off',
    });
    send(await killed.url, ndjson(...rows(5000)));
    await until(async () => (await transactions()) === 1);
    killed.send('SIGKILL');
    await killed.ended;
    await until(async () => (await transactions()) === 0);
    expect(await count()).toBe(0);
  });
});

describe('imports with an Idempotency-Key', () => {
  const key = () => ({ 'Idempotency-Key': randomUUID() });

  it('are executed once, and the same file gets the same answer', async () => {
    const file = ndjson(...rows(1500));
    const headers = key();
    const first = await post(file, '', headers);
    const second = await post(file, '', headers);
    expect(first.body.data).toMatchObject({ created: 1500 });
    expect(second.body).toEqual(first.body);
    expect(second.headers['idempotency-replayed']).toBe('true');
    expect(await count()).toBe(1500);
    const other = await post(`${file}\n`, '', headers);
    expect(other.body).toMatchObject({ status: 422, code: 'idempotency_key_reused' });
  });

  it('leave the key free when they are refused', async () => {
    const headers = key();
    await post(ndjson(...rows(1500), 'nonsense'), '', headers).expect(400);
    expect(await count()).toBe(0);
    expect(await report(ndjson(aProject()), '', headers)).toMatchObject({ created: 1 });
  });
});

describe('two concurrent imports', () => {
  it('of the same rows write them once, and both answers are correct', async () => {
    const file = ndjson(...rows(3000, () => ({ id: randomUUID() })));
    const answers = await Promise.all([post(file), post(file)]);
    const counts = answers
      .filter(({ status }) => status === 200)
      .map(({ body }) => body.data.created);
    expect(counts.reduce((a, b) => a + b, 0)).toBe(3000);
    expect(await count()).toBe(3000);
  });
});
