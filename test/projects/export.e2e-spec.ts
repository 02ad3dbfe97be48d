import http, { type IncomingMessage } from 'node:http';
import net from 'node:net';
import { parse } from 'csv-parse/sync';
import request from 'supertest';
import { aProject } from '../support/builders.js';
import { sleep, until } from '../support/connections.js';
import { exchangeOne, head } from '../support/raw-http.js';
import { startService, type TestService } from '../support/service.js';
import {
  CSV,
  EXPORT,
  IMPORT,
  insertLarge,
  NDJSON,
  nastyProjects,
  ndjson,
  onDatabase,
  tableOf,
  transfersOf,
} from '../support/transfer.js';

let service: TestService;
let api: ReturnType<typeof request>;
beforeEach(async () => {
  service = await startService();
  api = request(service.url);
});
afterEach(() => service.close());

async function fetchText(path: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await fetch(service.url + path, { headers });
  expect(answer.status).toBe(200);
  return await answer.text();
}

async function importFile(type: string, body: string) {
  return await api.post(IMPORT).set('Content-Type', type).send(body);
}

async function wipe(): Promise<void> {
  await onDatabase(service.database.url, (sql) => sql`truncate projects`);
}

describe('export, truncate and import', () => {
  it.each([
    ['ndjson', NDJSON],
    ['csv', CSV],
  ])('restores a table with identical bytes by %s', async (format, type) => {
    await importFile(NDJSON, ndjson(...nastyProjects())).then((answer) =>
      expect(answer.body).toMatchObject({ data: { created: nastyProjects().length, refused: 0 } }),
    );
    await api.post('/api/projects').send(aProject()).expect(201);
    const before = await tableOf(service);

    const file = await fetchText(`${EXPORT}?format=${format}`);
    await wipe();
    const answer = await importFile(type, file);
    expect(answer.body).toEqual({
      success: true,
      data: {
        created: nastyProjects().length + 1,
        replaced: 0,
        unchanged: 0,
        refused: 0,
        errors: [],
      },
    });
    expect(await tableOf(service)).toEqual(before);

    const again = await importFile(type, file);
    expect(again.body.data).toMatchObject({
      unchanged: nastyProjects().length + 1,
      created: 0,
      replaced: 0,
    });
    expect(await tableOf(service)).toEqual(before);
    expect(await fetchText(`${EXPORT}?format=${format}`)).toBe(file);
  });
});

describe('an export', () => {
  const names = (text: string) =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { name: string }).name);

  async function fill(): Promise<void> {
    const rows = Array.from({ length: 300 }, (_, i) => ({
      ...aProject({ name: `Project ${i}`, technologies: i % 3 ? ['Rust'] : ['Rust', 'Go'] }),
      createdAt: new Date(Date.UTC(2020, 0, 1) + i * 1000).toISOString(),
    }));
    await importFile(NDJSON, ndjson(...rows));
  }

  it('contains each project as the API returns it, one for each line, with a file name', async () => {
    const created = await api.post('/api/projects').send(aProject({ name: 'A "quoted" one' }));
    const answer = await fetch(service.url + EXPORT);
    const text = await answer.text();
    expect(text).toMatch(/^\{[^\n]*\}\n$/);
    expect(JSON.parse(text)).toEqual(created.body.data);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': NDJSON,
      'content-disposition': expect.stringMatching(
        /^attachment; filename="projects-\d{4}-\d\d-\d\dT\d{6}Z\.ndjson"$/,
      ),
      'x-request-id': expect.any(String),
      vary: 'Accept',
    });
  });

  it('of no projects is an empty file, or a header', async () => {
    expect(await fetchText(EXPORT)).toBe('');
    const header = 'id,name,description,technologies,createdAt,updatedAt,version\r\n';
    expect(await fetchText(`${EXPORT}?format=csv`)).toBe(header);
  });

  it('accepts the filters and the order of the list, and selects the same projects', async () => {
    await fill();
    expect(names(await fetchText(EXPORT))).toHaveLength(300);
    for (const query of [
      'technology=Go',
      'technology=Go&technology=Rust&sort=name',
      'anyTechnology=Go&anyTechnology=C',
      'q=Project%207',
      'createdFrom=2020-01-01T00:01:00Z&createdTo=2020-01-01T00:02:00Z',
      'updatedTo=2020-01-01',
      'sort=name&technology=Rust&q=project',
      'sort=createdAt&createdFrom=2020-01-01T00:04:00Z',
    ]) {
      const list = await api.get(`/api/projects?limit=200&${query}`).expect(200);
      const listed = list.body.data.map(({ name }: { name: string }) => name);
      const file = await fetchText(`${EXPORT}?${query}`);
      expect(file === '' ? [] : names(file).slice(0, 200)).toEqual(listed);
    }
  });

  it.each([
    'limit=1',
    'after=x',
    'count=exact',
    'fields=id',
    'id=1',
    'format=xml',
    'format=',
    'sort=x',
  ])('refuses parameters such as %s', async (query) => {
    const { body } = await api.get(`${EXPORT}?${query}`).expect(400);
    expect(body).toMatchObject({
      code: 'validation_failed',
      errors: [{ path: query.split('=')[0] }],
    });
  });

  it.each([
    [undefined, '', NDJSON],
    ['*/*', '', NDJSON],
    ['application/*', '', NDJSON],
    [CSV, '', CSV],
    ['text/csv;q=0.5, application/x-ndjson;q=0.1', '', CSV],
    ['*/*', '?format=csv', CSV],
    [CSV, '?format=csv', CSV],
  ])('for Accept %s and %j is %s', async (accept, query, type) => {
    const answer = await fetch(service.url + EXPORT + query, {
      headers: accept ? { Accept: accept } : {},
    });
    await answer.text();
    expect([answer.status, answer.headers.get('content-type')!.split(';')[0]]).toEqual([200, type]);
  });

  it.each([
    ['application/json', ''],
    ['text/html', ''],
    [CSV, '?format=ndjson'],
    [NDJSON, '?format=csv'],
  ])('for Accept %s and %j gets 406', async (accept, query) => {
    const { body } = await api.get(EXPORT + query).set('Accept', accept);
    expect(body).toMatchObject({ status: 406, code: 'not_acceptable' });
  });

  it('is described by HEAD without being executed', async () => {
    const answer = await exchangeOne(service.url, head(`HEAD ${EXPORT}?format=csv HTTP/1.1`));
    expect(answer).toMatchObject({ status: 200, body: '' });
    expect(answer.headers['content-disposition']).toMatch(/\.csv"$/);
  });

  it('in CSV has no cell that a spreadsheet would execute', async () => {
    await importFile(NDJSON, ndjson(...nastyProjects()));
    const csv = await fetchText(`${EXPORT}?format=csv`);
    const cells = parse(csv, { record_delimiter: '\r\n' }).flat();
    expect(cells.length).toBe((nastyProjects().length + 1) * 7);
    expect(cells.filter((cell) => /^[=+\-@\t\r\n＝＋－＠]/.test(cell))).toEqual([]);
  });

  it('shows the state of one moment while others write', async () => {
    await fillHeavily();
    const file = await slowly(service.url + EXPORT, () =>
      onDatabase(service.database.url, async (sql) => {
        await sql`delete from projects`;
      }),
    );
    expect(file.trimEnd().split('\n')).toHaveLength(2000);
  });

  it('contains any timestamp of the database in the same form as a list', async () => {
    const moments = [
      ...['0001-01-01', '1969-12-31 23:59:59.001', '1999-12-31 23:59:59.999'],
      ...[
        '2000-02-29',
        '2300-01-01 00:00:00.01',
        '9999-12-31 23:59:59.999',
        '12345-06-07 08:09:10.1',
      ],
      ...['infinity', '-infinity'],
    ];
    await onDatabase(
      service.database.url,
      (sql) => sql`insert into projects (name, description, technologies, created_at, updated_at)
        select moment, '', '[]', moment::timestamptz, moment::timestamptz from unnest(${moments}::text[]) as moment`,
    );
    const { body } = await api.get('/api/projects').expect(200);
    expect(body.data).toHaveLength(moments.length);
    const lines = (await fetchText(EXPORT)).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(body.data);
  });

  it('may run longer than the statement timeout while its reader reads', async () => {
    const hasty = await startService({ DATABASE_STATEMENT_TIMEOUT_MS: '300' });
    try {
      await fillHeavily(hasty);
      const file = await slowly(hasty.url + EXPORT, () => sleep(1000));
      expect(file.split('\n')).toHaveLength(2001);
    } finally {
      await hasty.close();
    }
  });

  it('that cannot begin gets a problem', async () => {
    await onDatabase(service.database.url, (sql) => sql`alter table projects rename to hidden`);
    const { body } = await api.get(EXPORT);
    expect(body).toMatchObject({ status: 503, code: 'database_unavailable' });
  });

  it('that fails later breaks the connection, so that nobody takes it for complete', async () => {
    await fillHeavily();
    const broken = slowly(service.url + EXPORT, () =>
      onDatabase(
        service.database.url,
        (sql) =>
          sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
      ).then(() => undefined),
    );
    await expect(broken).rejects.toThrow(/aborted|ECONNRESET|hang up/);
  });

  it('is created no faster than it is read, and ends at once when its reader disconnects', async () => {
    await fillHeavily();
    const socket = net.connect(Number(new URL(service.url).port), '127.0.0.1');
    socket.pause();
    socket.write(head(`GET ${EXPORT} HTTP/1.1`));
    await until(async () => (await transactions()) === 1);
    await sleep(500);
    const before = process.memoryUsage().rss;
    await sleep(500);
    expect(await transactions()).toBe(1);
    expect(process.memoryUsage().rss - before).toBeLessThan(20_000_000);
    socket.destroy();
    await until(async () => (await transactions()) === 0);
    await api.get('/api/projects?limit=1').expect(200);
  });

  it('is ended when its reader reads nothing', async () => {
    await fillHeavily();
    transfersOf(service).limits.silenceMs = 300;
    const socket = net.connect(Number(new URL(service.url).port), '127.0.0.1');
    socket.pause();
    socket.write(head(`GET ${EXPORT} HTTP/1.1`));
    await until(async () => (await transactions()) === 1);
    await until(async () => (await transactions()) === 0);
    socket.destroy();
  });

  /** This exceeds the buffers between a service and its reader. */
  async function fillHeavily({ database } = service): Promise<void> {
    await insertLarge(database.url, 2000);
  }

  async function transactions(): Promise<number> {
    return await onDatabase(service.database.url, async (sql) => {
      const open = await sql`select from pg_stat_activity where datname = current_database()
        and backend_xmin is not null and pid <> pg_backend_pid() and backend_type = 'client backend'`;
      return open.length;
    });
  }

  /** Reads the beginning of a file, runs a function, and reads the rest. */
  async function slowly(url: string, meanwhile: () => Promise<void>): Promise<string> {
    const response = await new Promise<IncomingMessage>((resolve, reject) =>
      http.get(url, resolve).on('error', reject),
    );
    const parts: Buffer[] = [];
    for await (const part of response) {
      parts.push(part as Buffer);
      if (parts.length === 1) await meanwhile();
    }
    return Buffer.concat(parts).toString();
  }
});
