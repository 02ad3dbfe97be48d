import postgres from 'postgres';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const COLUMNS = `(id uuid primary key default gen_random_uuid(), name text not null, created_at timestamptz not null
  default now(), updated_at timestamptz not null default now(), version int not null default 1)`;

let database: TestDatabase;
let sql: postgres.Sql;
beforeAll(async () => {
  database = await createTestDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => {} });
  await sql.unsafe(`
    create schema one; create schema two;
    create table one.notes ${COLUMNS}; create table two.notes ${COLUMNS}; create table two.papers ${COLUMNS};
    select track_changes('one.notes', 'note');`);
});
afterAll(async () => {
  await sql.end();
  await database.drop();
});

it.each([
  ['two.papers', 'note', /^The entity note is the table one\.notes already/],
  ['two.papers', 'project', /^The entity project is the table projects already/],
  [
    'two.notes',
    'remark',
    /^A table of the same name in another schema, one\.notes, is tracked already/,
  ],
])('%s as %s is refused, because the name is in use', async (table, entity, message) => {
  await expect(
    sql`select track_changes(${table}::text::regclass, ${entity})`,
  ).rejects.toMatchObject({
    code: '42710',
    message: expect.stringMatching(message),
    hint: 'Give the entity or the table a name of its own.',
  });
});

it('the table that used the names first still works, and may be tracked again', async () => {
  await sql`select track_changes('one.notes', 'note')`;
  await sql`alter table one.notes add column text text`;
  await sql`select refresh_tracking()`;
  await sql`insert into one.notes (name, text) values ('first', 'a')`;
  await sql`insert into two.notes (name) values ('not tracked')`;
  await sql`insert into projects (name, description, technologies) values ('p', 'd', '[]')`;
  const changes =
    await sql`select entity, after ->> 'name' as name, after ->> 'text' as text from changes order by sequence`;
  expect([...changes]).toEqual([
    { entity: 'note', name: 'first', text: 'a' },
    { entity: 'project', name: 'p', text: null },
  ]);
});
