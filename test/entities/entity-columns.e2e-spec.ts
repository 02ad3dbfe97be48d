import { Module } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import {
  bigint,
  date,
  integer,
  type PgColumnBuilderBase,
  pgTable,
  serial,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';
import {
  asDataError,
  before,
  createProjectsFactory,
  createTimestamps,
  DateField,
  defineEntity,
  EntityDto,
  entityModule,
  entityResource,
  type EntityTable,
  from,
  IntegerField,
  Nullable,
  oneOf,
  TextListField,
  UuidField,
} from '../../src/index.js';
import { atLeast } from '../../src/db/entity/filters.js';
import { useSmallHost } from '../support/small-host.js';

const milestones = pgTable('milestones', {
  id: uuid('id').primaryKey().defaultRandom(),
  dueOn: date('due_on').notNull(),
  effort: integer('effort'),
  tags: text('tags').array().notNull(),
  projectId: uuid('project_id').notNull(),
  ...createTimestamps(),
  version: integer('version').notNull().default(1),
});

const MIGRATION = `
  create table milestones (
    id uuid primary key default gen_random_uuid(), due_on date not null, effort integer, tags text[] not null,
    project_id uuid not null references projects, created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now(), version integer not null default 1);
  select track_changes('milestones', 'milestone');
  insert into projects (id, name, description, technologies)
    values ('00000000-0000-4000-8000-00000000000a', 'Referenced', '', '[]');`;

const WRITTEN = ['dueOn', 'effort', 'tags', 'projectId'] as const;
const MILESTONE = defineEntity({
  name: 'milestone',
  table: milestones,
  written: WRITTEN,
  sorts: ['dueOn'],
  filters: {
    projectId: oneOf(milestones.projectId),
    dueFrom: from(milestones.dueOn),
    dueBefore: before(milestones.dueOn),
  },
});

class MilestoneDto extends EntityDto {
  @DateField()
  dueOn!: string;

  @Nullable()
  @IntegerField({ min: 0, max: 1000 })
  effort!: number | null;

  @TextListField({ maxItems: 10, maxLength: 50 })
  tags!: string[];

  @UuidField()
  projectId!: string;
}

@Module(entityModule(entityResource(MILESTONE, { path: 'milestones', dto: MilestoneDto })))
class MilestonesModule {}

const host = useSmallHost(MIGRATION, MilestonesModule);
const PROJECT = '00000000-0000-4000-8000-00000000000A';
const VALUES = { dueOn: '2024-02-29', effort: 3, tags: [',{}"', 'é'], projectId: PROJECT };
const create = async (values: object) => (await host.api()).post('/milestones').send(values);

it('an entity has dates, nullable numbers, lists of texts and references', async () => {
  const created = await create(VALUES);
  expect(created.body).toMatchObject({
    success: true,
    data: { ...VALUES, projectId: PROJECT.toLowerCase(), version: 1 },
  });
  const url = `/milestones/${created.body.data.id}`;
  const { body } = await (await host.api()).patch(url).send({ effort: null }).expect(200);
  expect(body.data).toMatchObject({ effort: null, dueOn: '2024-02-29', version: 2 });
  const omitted = await create({ ...VALUES, effort: undefined });
  expect(omitted.body.data.effort).toBeNull();
});

it.each([
  [{ dueOn: '2023-02-29' }, 'dueOn', 'must be a date such as 2026-01-31'],
  [{ dueOn: '2024-02-29T12:00:00Z' }, 'dueOn', 'must be a date such as 2026-01-31'],
  [{ dueOn: null }, 'dueOn', 'must be a date such as 2026-01-31'],
  [{ effort: 1.5 }, 'effort', 'must be a whole number from 0 to 1000'],
  [{ projectId: 'x' }, 'projectId', 'must be a UUID'],
  [{ projectId: [PROJECT] }, 'projectId', 'must be a UUID'],
  [{ projectId: { id: PROJECT } }, 'projectId', 'must be a UUID'],
  [{ projectId: null }, 'projectId', 'must be a UUID'],
])('an entity refuses %j by the rule of the field', async (values, path, message) => {
  const { status, body } = await create({ ...VALUES, ...values });
  expect({ status, errors: body.errors }).toEqual({ status: 400, errors: [{ path, message }] });
});

it('a reference to a row that does not exist is refused, and so is the removal of a referenced row', async () => {
  const { body } = await create({ ...VALUES, projectId: '00000000-0000-4000-8000-00000000000b' });
  expect(body).toMatchObject({
    status: 400,
    code: 'invalid_value',
    detail: 'An entry that the values refer to does not exist.',
    errors: [{ path: 'projectId', message: 'must refer to an entry that exists' }],
  });
  await create(VALUES);
  const removal = createProjectsFactory(host.db).deleteProject(PROJECT);
  const error = await removal.catch((thrown: unknown) => thrown);
  expect(asDataError(error)).toMatchObject({
    code: 'still_referenced',
    message:
      'Entries of the entity milestone still refer to this project. Remove them, or let them refer to another one, then send the request again.',
  });
});

it('a list is filtered and sorted by a date', async () => {
  for (const dueOn of ['2030-01-03', '2030-01-01', '2030-01-02'])
    await create({ ...VALUES, dueOn });
  const query = `dueFrom=2030-01-01&dueBefore=2030-01-03&projectId=${PROJECT}&sort=dueOn&limit=1`;
  const first = (await (await host.api()).get(`/milestones?${query}`).expect(200)).body;
  const after = `${query}&after=${first.meta.nextCursor}`;
  const second = (await (await host.api()).get(`/milestones?${after}`).expect(200)).body;
  const dates = [...first.data, ...second.data].map(({ dueOn }: { dueOn: string }) => dueOn);
  expect([dates, second.meta.hasMore]).toEqual([['2030-01-01', '2030-01-02'], false]);
  const refused = (await (await host.api()).get('/milestones?dueFrom=2030-02-30').expect(400)).body;
  expect(refused.errors).toEqual([
    { path: 'dueFrom', message: 'must be a date such as 2026-01-31' },
  ]);
});

it('the document shows the types of these columns', () => {
  const { components } = SwaggerModule.createDocument(host.app, new DocumentBuilder().build());
  expect(components!.schemas!.MilestoneInput).toMatchObject({
    required: ['dueOn', 'tags', 'projectId'],
    properties: {
      dueOn: { type: 'string', format: 'date' },
      effort: { type: 'integer', minimum: 0, maximum: 1000, nullable: true },
      projectId: { type: 'string', format: 'uuid' },
    },
  });
});

describe('a definition that could not work is refused with the remedy', () => {
  const definition = { name: 'milestone', table: milestones, written: WRITTEN };

  it('without a column that every row needs', () => {
    expect(() => defineEntity({ ...definition, written: ['dueOn', 'tags'] })).toThrow(
      'The definition of the entity milestone is wrong: no row can be created without the column projectId. Add it to `written`, give it a default, or, if a trigger sets it, add it to `setByTrigger`.',
    );
  });

  it('with a column that the database sets', () => {
    expect(() => defineEntity({ ...definition, written: [...WRITTEN, 'version'] })).toThrow(
      'the database sets the column version. Remove it from `written`.',
    );
  });

  it('with a column that clients and a trigger set', () => {
    expect(() => defineEntity({ ...definition, setByTrigger: ['dueOn'] })).toThrow(
      'the database sets the column dueOn. Remove it from `written`.',
    );
  });

  it('with a sort on a column that may be null, which does not compile either', () => {
    // @ts-expect-error: the column may be null
    expect(() => defineEntity({ ...definition, sorts: ['effort'] })).toThrow(
      'a list sorted by effort would lose the rows in which it is null. Remove it from `sorts`, or make the column NOT NULL.',
    );
  });

  it('with a filter that has the name of another parameter', () => {
    const filters = { limit: atLeast(milestones.effort, { min: 0, max: 9 }) };
    expect(() => defineEntity({ ...definition, filters })).toThrow(
      'every list has a parameter limit already. Give this filter another name in `filters`.',
    );
  });

  it.each<[string, Record<string, PgColumnBuilderBase>, string]>([
    [
      'whose columns are not those that the triggers set',
      { createdAt: timestamp('created_at', { withTimezone: true, precision: 3 }).notNull() },
      "its column createdAt is not the one that the triggers set. Declare `uuid('id')`, `...createTimestamps()` and `integer('version')`.",
    ],
    [
      'with a default that a prepared statement would compute once',
      { code: text('code').$defaultFn(() => 'x') },
      'a prepared statement would call `$default` or `$onUpdate` of the column code once for all rows.',
    ],
    [
      'with a value that a prepared statement would compute once for all updates',
      { code: text('code').$onUpdate(() => 'x') },
      'a prepared statement would call `$default` or `$onUpdate` of the column code once for all rows.',
    ],
    [
      'with a column that has another name in the history',
      { label: text('name_of_it') },
      'history and feed call the column name_of_it `nameOfIt`, but answers `label`. Rename one of them.',
    ],
    [
      'with a number that JSON cannot hold',
      { large: bigint('large', { mode: 'bigint' }) },
      "JSON has no bigint for the column large. Give it the mode 'number'.",
    ],
    [
      'with a hidden column that the history would show',
      { secret: text('secret') },
      'history and feed would contain the hidden column secret, unless it is generated.',
    ],
  ])('%s', (_, columns, message) => {
    const table = pgTable('parts', {
      id: uuid('id').primaryKey().defaultRandom(),
      ...createTimestamps(),
      version: integer('version').notNull().default(1),
      ...columns,
    }) as unknown as EntityTable;
    const hidden = 'secret' in columns ? (['secret'] as never[]) : [];
    expect(() => defineEntity({ name: 'part', table, written: [], hidden })).toThrow(message);
  });

  it('and a column without a constant default is required of clients', () => {
    const table = pgTable('parts', {
      id: uuid('id').primaryKey().defaultRandom(),
      number: serial('number'),
      ...createTimestamps(),
      version: integer('version').notNull().default(1),
    });
    expect(defineEntity({ name: 'part', table, written: ['number'] }).defaults).toEqual({});
  });
});
