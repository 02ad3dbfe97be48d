import { drizzle } from 'drizzle-orm/postgres-js';
import type { Sql } from 'postgres';
import { createDatabaseConnection, type DatabaseConnection } from '../../src/db/connection.js';
import type {
  Position,
  ProjectListQuery,
} from '../../src/db/factories/projects/project-list-query.js';
import { createProjectLists } from '../../src/db/factories/projects/project-list.js';
import * as schema from '../../src/db/schema.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

interface Row {
  id: string;
  words: string[];
  technologies: string[];
  createdAt: string;
  updatedAt: string;
}

let database: TestDatabase;
let connection: DatabaseConnection;
/** The whole catalogue, the newest first. */
let all: Row[];
beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDatabaseConnection({ url: database.url, statement_timeout_ms: 60_000 });
  // Forty projects for each time of creation, so that pages end between equal ones.
  await connection.db.execute(`
    insert into projects (name, description, technologies, created_at, updated_at)
    select 'n' || i, 'word' || i % 3 || case when i % 7 = 0 then ' seventh' else '' end
        || case when i % 21 = 0 then ' thin' else '' end
        || case when i <= 3000 then ' old' else '' end,
      to_jsonb(array_remove(array['a' || i % 2, 'b' || i % 5, 'c' || i % 11,
        case when i > 20000 then 'Recent' else 'Early' end, case when i % 4000 = 1 then 'Rare' end], null)),
      '2020-01-01'::timestamptz + i / 40 * interval '5 hours',
      '2024-01-01'::timestamptz + i % 777 * interval '1 hour'
    from generate_series(1, 24000) as i`);
  await connection.db.execute('select fold_technology_changes()');
  await connection.db.execute('vacuum analyze');
  const rows = await connection.db.execute<Record<string, unknown>>(
    `select id, name || ' ' || description as text, technologies,
       api_moment(created_at) as created, api_moment(updated_at) as updated
     from projects order by created_at desc, id desc`,
  );
  all = rows.map(({ id, text, technologies, created, updated }) => ({
    id: id as string,
    words: (text as string).split(' '),
    technologies: (typeof technologies === 'string'
      ? JSON.parse(technologies)
      : technologies) as string[],
    createdAt: created as string,
    updatedAt: updated as string,
  }));
}, 120_000);
afterAll(async () => {
  await connection.close();
  await database.drop();
});

/** Returns the matches of the query, from the whole catalogue. */
function expected({ technology = [], anyTechnology = [], q, ...query }: ProjectListQuery) {
  const matching = all.filter(
    (row) =>
      technology.every((name) => row.technologies.includes(name)) &&
      (anyTechnology.length === 0 ||
        anyTechnology.some((name) => row.technologies.includes(name))) &&
      (q === undefined || q.split(' ').every((word) => row.words.includes(word))) &&
      (!query.createdFrom || row.createdAt >= query.createdFrom.toISOString()) &&
      (!query.createdTo || row.createdAt < query.createdTo.toISOString()) &&
      (!query.updatedFrom || row.updatedAt >= query.updatedFrom.toISOString()) &&
      (!query.updatedTo || row.updatedAt < query.updatedTo.toISOString()),
  );
  const ids = matching.map(({ id }) => id);
  return query.descending === false ? ids.reverse() : ids;
}

async function walked(query: ProjectListQuery): Promise<string[]> {
  const { listProjects } = createProjectLists(connection.db);
  const ids: string[] = [];
  for (let after: Position | undefined, isLast = false; !isLast; isLast = after === undefined) {
    const page = await listProjects({ ...query, after });
    ids.push(...page.projects.map(({ id }) => id!));
    after = page.next;
  }
  return ids;
}

const queries: Record<string, ProjectListQuery> = {
  'two technologies that many use': { technology: ['a1', 'b2'] },
  'three technologies, some alike in how many use them': { technology: ['a1', 'b2', 'c3'] },
  'two technologies of which the rarer is used by few': { technology: ['a1', 'Rare'] },
  'two technologies that hardly ever meet': { technology: ['Recent', 'Early'] },
  'two technologies that meet behind 1,000 that pass over nothing': { technology: ['b1', 'Early'] },
  'a technology and a word that many hold': { technology: ['b2'], q: 'word1' },
  'a technology and a word that its candidates are too few for': {
    technology: ['a1'],
    q: 'thin',
  },
  'a technology and a word that the first days have none of': {
    technology: ['Early'],
    q: 'thin',
  },
  'a technology and a word of the oldest': { technology: ['a1'], q: 'old' },
  'a technology and a word, created in a range': {
    technology: ['a1'],
    q: 'thin',
    createdFrom: new Date('2020-02-01T07:00:00Z'),
    createdTo: new Date('2020-04-20T07:00:00Z'),
  },
  'two technologies and two words': { technology: ['a1', 'b2'], q: 'word1 seventh' },
  'a technology and the words of few': { technology: ['b2'], q: 'n12' },
  'one of several technologies': { anyTechnology: ['b1', 'b2', 'Rare'] },
  'one of several and one more': { technology: ['a1'], anyTechnology: ['b1', 'b2', 'Rare'] },
  'one of several and a word': { anyTechnology: ['b1', 'c2'], q: 'word2' },
  'a technology, changed in a range': {
    technology: ['b2'],
    updatedFrom: new Date('2024-01-05T07:00:00Z'),
    updatedTo: new Date('2024-01-20T07:00:00Z'),
  },
};
const cases = Object.entries(queries).flatMap(([name, query]) =>
  [true, false].map((descending) => ({ name, descending, query: { ...query, descending } })),
);

it.each(cases)(
  '$name, newest first: $descending, has exactly the matches on all pages',
  async (one) => {
    const ids = expected(one.query);
    const limit = Math.max(1, Math.min(200, Math.ceil(ids.length / 7)));
    expect(await walked({ ...one.query, limit })).toEqual(ids);
  },
);

it('these queries use both the technology index and the search index', async () => {
  expect(await sentFor({ technology: ['a1', 'b2'] })).toContainEqual(CANDIDATES);
  expect((await sentFor({ technology: ['a1', 'Rare'] })).at(-1)).not.toEqual(CANDIDATES);
});

it('technology candidates are skipped when too few of them would match, and the first days are searched', async () => {
  const query = { technology: ['a1'], q: 'thin' };
  expect(await sentFor({ ...query, limit: 100 })).toContainEqual(CANDIDATES);
  const sent = await sentFor({ ...query, limit: 200 });
  expect(sent).not.toContainEqual(CANDIDATES);
  expect(sent.at(-1)).toEqual(DAYS);
});

it('more days are searched until they fill the page, and otherwise the whole catalogue', async () => {
  const query = { technology: ['a1'], q: 'old' }; // all of them are in the first 16 of 126 days
  expect(await daysAskedFor({ ...query, limit: 88 })).toEqual([15, 120]);
  expect(await daysAskedFor({ ...query, limit: 50 })).toEqual([9, 72]);
  expect((await sentFor({ ...query, limit: 50 })).at(-1)).not.toEqual(DAYS);
  // The matches after a cursor are as dense as all matches.
  const after = { key: '2020-03-01T00:00:00.000Z', id: all[0]!.id };
  expect(await daysAskedFor({ ...query, limit: 50, after })).toEqual([9]);
  expect(await daysAskedFor({ ...query, limit: 50, descending: false, after })).toEqual([9]);
});

it.each([
  ['1970-01-01T00:00:00Z', 0],
  ['1969-12-31T23:59:59.999Z', -1],
  ['2020-02-29T23:59:59+02:00', 18321],
  ['0044-03-15 00:00+00 BC', -735160],
  ['infinity', null],
  ['-infinity', null],
])('day_of(%s) is %j in every time zone', async (moment, days) => {
  await connection.db.transaction(async (tx) => {
    await tx.execute(`set local time zone 'Asia/Kathmandu'`);
    const [row] = await tx.execute(`select to_json(day_of('${moment}'::timestamptz)) as days`);
    expect(row!.days).toEqual(days);
  });
});

/** True for a statement that scans the candidates of a technology. */
const CANDIDATES: unknown = expect.stringContaining('limit 1000');
/** True for a statement that searches some days with the search index. */
const DAYS: unknown = expect.stringContaining('to_timestamp(');

async function sentFor(query: ProjectListQuery): Promise<string[]> {
  return (await statementsFor(query)).map(({ text }) => text);
}

/** Returns the number of days in each statement that searches some days. */
async function daysAskedFor(query: ProjectListQuery): Promise<number[]> {
  const statements = await statementsFor(query);
  return statements
    .flatMap(({ params }) => params)
    .filter((value) => typeof value === 'string' && value.startsWith("'d="))
    .map((days) => (days as string).split('|').length);
}

async function statementsFor(query: ProjectListQuery) {
  const sent: { text: string; params: unknown[] }[] = [];
  const client = (connection.db as unknown as { $client: Sql }).$client;
  const logger = { logQuery: (text: string, params: unknown[]) => sent.push({ text, params }) };
  await createProjectLists(drizzle(client, { schema, logger })).listProjects(query);
  return sent;
}
