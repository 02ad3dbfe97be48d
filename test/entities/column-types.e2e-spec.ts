import { Module } from '@nestjs/common';
import { sql as SQL } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import {
  boolean,
  integer,
  jsonb,
  pgSchema,
  serial,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';
import { importRows } from '../../src/db/entity/row-import.js';
import {
  BooleanField,
  createEntityFactory,
  createTimestamps,
  type Db,
  defineEntity,
  distinctTexts,
  EntityDto,
  entityModule,
  entityResource,
  EnumField,
  from,
  Nullable,
  oneOf,
  TextField,
  TextListField,
} from '../../src/index.js';
import { useSmallHost } from '../support/small-host.js';

/** A table whose names must be quoted, with the columns that PostgreSQL and drizzle treat in a special way. */
const schema = pgSchema('Lost & Found');
const MOODS = ['good', 'bad'] as const;
const mood = schema.enum('order', MOODS);
const finds = schema.table('The "finds"', {
  id: uuid('id').primaryKey().defaultRandom(),
  number: serial('number'),
  mood: mood('mood').notNull(),
  seenAt: timestamp('seen_at', { withTimezone: true, mode: 'string' }).notNull(),
  placeName: text().notNull(),
  kept: boolean('kept').notNull().default(true),
  tags: text('tags').array(),
  labels: jsonb('labels').$type<string[]>(),
  notes: jsonb('notes')
    .$type<string[]>()
    .notNull()
    .default(SQL`'["none"]'::jsonb`),
  ...createTimestamps(),
  version: integer('version').notNull().default(1),
});

const TABLE = `"Lost & Found"."The ""finds"""`;
const MIGRATION = `
  create schema "Lost & Found";
  create type "Lost & Found"."order" as enum ('good', 'bad');
  create table ${TABLE} (
    id uuid primary key default gen_random_uuid(), number serial, mood "Lost & Found"."order" not null,
    seen_at timestamptz not null, "placeName" text not null, kept boolean not null default true,
    tags text[], labels jsonb,
    notes jsonb not null default '["none"]',
    created_at timestamptz(3) not null default now(), updated_at timestamptz(3) not null default now(),
    version integer not null default 1);
  select track_changes('${TABLE}', 'owner''s find');`;

const FIND = defineEntity({
  name: "owner's find",
  table: finds,
  written: ['mood', 'seenAt', 'placeName', 'tags', 'labels', 'notes'],
  sorts: ['number', 'mood', 'seenAt', 'kept'],
  filters: {
    mood: oneOf(finds.mood),
    // It replaces the filter that every entity has.
    createdFrom: { ...from(finds.createdAt), where: () => SQL`false` },
  },
});

class FindDto extends EntityDto {
  number!: number;

  @EnumField(MOODS)
  mood!: (typeof MOODS)[number];

  @TextField({ min: 1, max: 40 })
  seenAt!: string;

  @TextField({ min: 1, max: 40 })
  placeName!: string;

  @BooleanField()
  kept!: boolean;

  @Nullable()
  @TextListField({ maxItems: 9, maxLength: 40 })
  tags!: string[] | null;

  @Nullable()
  @TextListField({ maxItems: 9, maxLength: 40 })
  labels!: string[] | null;

  @TextListField({ maxItems: 9, maxLength: 40 })
  notes!: string[];
}

@Module(entityModule(entityResource(FIND, { path: 'finds', dto: FindDto })))
class FindsModule {}

/** The same rows with import and export, of the columns whose kind is known. */
const LABELLED = defineEntity({
  name: "owner's find",
  table: finds,
  written: ['labels', 'placeName', 'mood', 'seenAt', 'kept'],
  updateTriggers: [],
  filters: { created: oneOf(finds.createdAt) },
  kinds: {
    labels: distinctTexts('label'),
    mood: { ...distinctTexts('mood'), toParameter: String, lengthOf: () => 4, ...textForms() },
    seenAt: { ...distinctTexts('moment'), toParameter: String, lengthOf: () => 30, ...textForms() },
  },
});

function textForms() {
  return {
    json: (column: unknown) => SQL`to_json(${column}::text)`,
    cell: (column: unknown) => SQL`${column}::text`,
    fromCell: (cell: string) => cell,
  };
}

class LabelledDto extends FindDto {}

@Module(
  entityModule(entityResource(LABELLED, { path: 'labelled', dto: LabelledDto }), {
    transfer: true,
  }),
)
class LabelledModule {}

@Module({ imports: [FindsModule, LabelledModule] })
class HostModule {}

const host = useSmallHost(MIGRATION, HostModule);
const VALUES = {
  mood: 'good',
  seenAt: '2026-01-31 12:00:00.123456+00',
  placeName: 'here',
  notes: ['n'],
};
const create = async (values: object) =>
  (await host.api()).post('/finds').send({ ...VALUES, ...values });
beforeEach(() => host.db.execute(SQL.raw(`truncate ${TABLE}`)));

it('null in a list or a JSON column is the null of the database, in a POST, a PUT and a PATCH', async () => {
  const { status, body } = await create({});
  expect([status, body.data]).toEqual([
    201,
    expect.objectContaining({ ...VALUES, tags: null, labels: null }),
  ]);
  const path = `/finds/${body.data.id}`;
  const nulls = async () =>
    await host.db.execute(
      SQL`select tags is null as tags, labels is null as labels, notes from ${finds}`,
    );
  expect(await nulls()).toEqual([{ tags: true, labels: true, notes: ['n'] }]);
  const lists = { tags: ['a'], labels: ['b'] };
  const full = await (await host.api()).put(path).send({ ...VALUES, ...lists });
  expect(full.body.data).toMatchObject(lists);
  const patched = await (await host.api()).patch(path).send({ tags: null, labels: null });
  expect(patched.body.data).toMatchObject({ tags: null, labels: null });
  expect(await nulls()).toMatchObject([{ tags: true, labels: true }]);
  expect((await (await host.api()).put(path).send(VALUES)).status).toBe(200);
});

it('an omitted JSON column has its default in SQL', async () => {
  const { notes: _, ...values } = { ...VALUES, mood: 'good' as const };
  const row = await createEntityFactory(host.db, FIND).create(values);
  expect(row.notes).toEqual(['none']);
});

it('a list is filtered and sorted by an enum of another schema, a serial and a timestamp of drizzle', async () => {
  for (const [place, seenAt] of [
    ['a', '2026-01-31 12:00:00.123456+00'],
    ['b', '2026-01-31 12:00:00.123457+00'],
    ['c', '2026-01-31 12:00:00.123458+00'],
  ])
    await create({ placeName: place, seenAt, mood: place === 'a' ? 'good' : 'bad' });
  for (const sort of ['number', 'seenAt', '-mood']) {
    const places: string[] = [];
    const query = `/finds?sort=${sort}&limit=1`;
    for (let after: string | null = ''; after !== null;) {
      const { body } = await (await host.api()).get(after ? `${query}&after=${after}` : query);
      places.push(...body.data.map(({ placeName }: { placeName: string }) => placeName));
      after = body.meta.nextCursor;
    }
    if (sort === '-mood') expect(places.sort()).toEqual(['a', 'b', 'c']);
    else expect(places).toEqual(['a', 'b', 'c']);
  }
  const { body } = await (
    await host.api()
  )
    .get('/finds?mood=good&mood=bad&sort=number')
    .expect(200);
  expect(body.data).toHaveLength(3);
  const none = await (await host.api()).get('/finds?createdFrom=2020-01-01').expect(200);
  expect(none.body.data).toEqual([]);
});

it('a list is sorted by a boolean, also on the connection of a host', async () => {
  for (const placeName of ['a', 'b', 'c']) await create({ placeName });
  const client = postgres(host.url, { max: 1, onnotice: () => {} });
  for (const db of [host.db, drizzle(client) as unknown as Db]) {
    const { list } = createEntityFactory(db, FIND);
    const first = await list({ sort: '-kept', limit: 2 });
    const second = await list({ sort: '-kept', limit: 2, after: first.next });
    expect([...first.rows, ...second.rows].map(({ placeName }) => placeName).sort()).toEqual([
      'a',
      'b',
      'c',
    ]);
  }
  await client.end();
});

it('the connection of a host writes many booleans and times, and finds several times', async () => {
  const client = postgres(host.url, { max: 2, onnotice: () => {} });
  const db = drizzle(client) as unknown as Db;
  const { labels: _, ...values } = { ...VALUES, labels: null, mood: 'good' as const };
  const times = ['2026-01-31T12:00:00.000Z', '2026-02-28T12:00:00.000Z'];
  const rows = times.map((createdAt, n) => ({ ...values, createdAt, kept: n === 0 }));
  expect(await importRows(db, LABELLED, rows)).toMatchObject({ created: 2 });
  const finder = createEntityFactory(db, LABELLED);
  const filters = { created: times.map((time) => new Date(time)) };
  const { rows: found } = await finder.list({ filters, sort: 'createdAt' });
  expect(found.map(({ createdAt, kept }) => [createdAt, kept])).toEqual([
    [times[0], true],
    [times[1], false],
  ]);
  const changes = found.map(({ id, kept }) => finder.update(id, { kept: !kept }));
  expect((await Promise.all(changes)).map(({ kept }) => kept)).toEqual([false, true]);
  await client.end();
});

it('the history has the field of a column whose name has capitals, also after a later migration', async () => {
  const { body } = await create({});
  await host.db.execute(SQL.raw(`alter table ${TABLE} add column extra text`));
  await host.db.execute(SQL`select refresh_tracking()`);
  const path = `/finds/${body.data.id}`;
  await (
    await host.api()
  )
    .put(path)
    .send({ ...VALUES, placeName: 'there' })
    .expect(200);
  const history = await (await host.api()).get(`${path}/history`).expect(200);
  expect(history.body.data).toMatchObject([
    { changed: ['placeName'], after: { placeName: 'there', extra: null } },
    { action: 'created', after: { placeName: 'here' } },
  ]);
  await host.db.execute(SQL.raw(`alter table ${TABLE} drop column extra`));
  await host.db.execute(SQL`select refresh_tracking()`);
});

it.each([
  ['ndjson', 'application/x-ndjson'],
  ['csv', 'text/csv'],
])('a file in %s holds the null of a column whose kind was given', async (format, type) => {
  await create({ labels: ['x'] });
  await create({});
  const file = await (await host.api()).get(`/labelled/export?format=${format}`).buffer(true);
  const send = async () => (await host.api()).post('/labelled/import').type(type).send(file.text);
  expect((await send()).body.data).toMatchObject({ unchanged: 2, refused: 0 });
  await host.db.execute(SQL`delete from ${finds}`);
  expect((await send()).body.data).toMatchObject({ created: 2, refused: 0 });
  const { rows } = await createEntityFactory(host.db, LABELLED).list({ sort: 'createdAt' });
  expect(rows.map(({ labels }) => labels)).toEqual([['x'], null]);
});
