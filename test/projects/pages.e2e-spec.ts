import { sql } from 'drizzle-orm';
import { createDatabaseConnection, type DatabaseConnection } from '../../src/db/connection.js';
import { createEntityFactory } from '../../src/db/entity/entity.factory.js';
import { defineEntity } from '../../src/db/entity/entity.js';
import { projectTexts } from '../../src/db/factories/projects/project-json.js';
import { prepareTexts } from '../../src/db/factories/projects/project-page.js';
import { projects } from '../../src/db/schema.js';
import { startService, type TestService } from '../support/service.js';

const COUNT = 120;
/** The rest of the answer fits into one mebibyte too. */
const MAX_BYTES = 1024 * 1024 - 8 * 1024;
/** The bytes around the projects in an answer. */
const ENVELOPE = 1024;

interface Page {
  data: { id: string; name: string; description?: string }[];
  meta: { limit: number; nextCursor: string | null; hasMore: boolean };
}

let service: TestService;
let connection: DatabaseConnection;
let list: string;
/** The ids by name. */
let ids: string[];
beforeAll(async () => {
  service = await startService();
  list = `${service.url}/api/projects`;
  connection = createDatabaseConnection({ url: service.database.url });
  ids = await insertLarge('large', COUNT);
});
afterAll(async () => {
  await connection.close();
  await service.close();
});

/** Creates projects with 80 or 120 KB of JSON each, and resolves with their ids in the order of their names. */
async function insertLarge(name: string, count: number): Promise<string[]> {
  // U+0001 takes six bytes in JSON and one byte in the database.
  const rows = await connection.db.execute<{ id: string }>(sql`
    insert into projects (name, description, technologies)
    select ${name} || to_char(i, ' FM000'),
      case when i % 2 = 0 then repeat(chr(1), 20000) else repeat('\u{1F600}', 20000) end,
      jsonb_build_array('large', repeat('x', 90))
    from generate_series(1, ${count}::int) as i order by i returning id`);
  return rows.map(({ id }) => id);
}

async function get(query: string): Promise<{ bytes: number; page: Page; link: string | null }> {
  const response = await fetch(`${list}?${query}`);
  const body = await response.text();
  expect([response.status, body.slice(0, 300)]).toEqual([200, body.slice(0, 300)]);
  const link = response.headers.get('link');
  return { bytes: Buffer.byteLength(body), page: JSON.parse(body) as Page, link };
}

/** Returns the ids of all pages in their order, and the number of pages. */
async function walk(query: string): Promise<{ met: string[]; pages: number }> {
  const met: string[] = [];
  let after = '';
  for (let pages = 1; ; pages++) {
    const { bytes, page, link } = await get(query + after);
    const { meta, data } = page;
    expect(bytes).toBeLessThan(MAX_BYTES + ENVELOPE);
    expect(data.length).toBeGreaterThan(0);
    expect([meta.hasMore, link !== null]).toEqual(Array(2).fill(meta.nextCursor !== null));
    met.push(...data.map(({ id }) => id));
    if (meta.nextCursor === null) return { met, pages };
    after = `&after=${meta.nextCursor}`;
  }
}

describe('a page of large projects', () => {
  it.each([
    ['the default limit', 'sort=name'],
    ['the largest limit', 'sort=name&limit=200'],
    ['a technology', 'sort=name&limit=200&technology=large'],
    ['words', 'sort=name&limit=200&q=large'],
  ])(
    'ends at a mebibyte, and all pages together contain each project once: %s',
    async (_name, query) => {
      const { met, pages } = await walk(query);
      expect(met).toEqual(ids);
      // 60 projects of 120 KB and 60 of 80 KB have 12 MB together. A page is not cut much too early either.
      expect(pages).toBeGreaterThanOrEqual(12);
      expect(pages).toBeLessThanOrEqual(16);
    },
  );

  it.each(['technology=large', 'anyTechnology=large&technology=large', 'technology=large&q=large'])(
    'is also limited in the order of creation: %s',
    async (query) => {
      const { met } = await walk(`limit=100&sort=createdAt&${query}`);
      expect([...met].sort()).toEqual([...ids].sort());
    },
  );

  it('with few small fields contains as many projects as the limit', async () => {
    const { page } = await get('limit=50&fields=id,name');
    expect(page.data).toHaveLength(50);
  });

  it('returns the requested limit', async () => {
    const { page } = await get('limit=200');
    expect(page.meta).toMatchObject({ limit: 200, hasMore: true });
    expect(page.data.length).toBeLessThan(20);
  });
});

describe('large projects by their ids', () => {
  const queryOf = (asked: string[]) => asked.map((id) => `id=${id}`).join('&');

  it.each([30, COUNT])('are returned in pages, in the order of %d ids', async (count) => {
    const asked = ids.slice(0, count).reverse();
    const missing = '00000000-0000-4000-8000-000000000000';
    const query = queryOf([asked[0]!.toUpperCase(), missing, ...asked.slice(1)]);
    const { met, pages } = await walk(query);
    expect(met).toEqual(asked);
    expect(pages).toBeGreaterThan(1);
  });

  it('refuse a cursor of other ids, and any other parameter', async () => {
    const { page } = await get(queryOf(ids.slice(0, 30)));
    const others = `${queryOf(ids.slice(0, 29))}&after=${page.meta.nextCursor}`;
    const refused = await fetch(`${list}?${others}`);
    expect([refused.status, (await refused.json()) as object]).toEqual([
      400,
      expect.objectContaining({ code: 'invalid_cursor' }),
    ]);
    const limited = await fetch(`${list}?${queryOf(ids.slice(0, 2))}&limit=1`);
    expect([limited.status, (await limited.json()) as object]).toEqual([
      400,
      expect.objectContaining({ code: 'validation_failed' }),
    ]);
  });
});

it('the database sends at most a mebibyte and two projects for a long page', async () => {
  const { db } = connection;
  const found = db.select(projectTexts(undefined)).from(projects).orderBy(projects.name).limit(200);
  const rows = await prepareTexts(db, 'a long page', found, 200).execute({});
  const bytes = rows.map((texts) => Buffer.byteLength(texts.join()));
  expect(bytes.slice(0, -2).reduce((sum, one) => sum + one)).toBeLessThan(MAX_BYTES);
  expect(bytes.slice(0, -1).reduce((sum, one) => sum + one)).toBeGreaterThanOrEqual(MAX_BYTES);
  expect(rows.filter(([facts]) => facts === null)).toEqual(rows.slice(-1));
});

it.each([50, 200])('pages of any entity have the same limit, with limit %d', async (limit) => {
  const entity = defineEntity({
    name: 'project',
    table: projects,
    written: ['name', 'description', 'technologies'],
    hidden: ['search'],
    sorts: ['name'],
  });
  const rows = createEntityFactory(connection.db, entity);
  const met: string[] = [];
  let after: { key: string; id: string } | undefined;
  do {
    const page = await rows.list({ limit, sort: 'name', after });
    expect(Buffer.byteLength(JSON.stringify(page.rows))).toBeLessThan(MAX_BYTES + ENVELOPE);
    met.push(...page.rows.map(({ id }) => id));
    after = page.next;
  } while (after);
  expect(met).toEqual(ids);
});

it('a batch that removes large projects returns at most a mebibyte of them', async () => {
  const removed = await insertLarge('removed', 40);
  const response = await fetch(`${list}/batch`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ operations: removed.map((id) => ({ op: 'delete', id })) }),
  });
  const body = await response.text();
  expect([response.status, Buffer.byteLength(body) < MAX_BYTES + 8 * ENVELOPE]).toEqual([
    200,
    true,
  ]);
  const { data } = JSON.parse(body) as {
    data: { op: string; status: number; project?: { id: string } }[];
  };
  expect(data.map(({ op, status }) => [op, status])).toEqual(removed.map(() => ['delete', 200]));
  const told = data.flatMap(({ project }, i) => (project ? [[project.id, removed[i]]] : []));
  expect(told.length).toBeGreaterThan(5);
  expect(told.length).toBeLessThan(20);
  for (const [id, asked] of told) expect(id).toBe(asked);
  const left = await connection.db.execute(sql`select from projects`);
  expect(left).toHaveLength(COUNT);
});
