import { Module } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { sql as SQL } from 'drizzle-orm';
import { boolean, integer, pgTable, text, uuid } from 'drizzle-orm/pg-core';
import {
  asDataError,
  BooleanField,
  createEntityFactory,
  createTimestamps,
  defineEntity,
  EntityDto,
  entityModule,
  entityResource,
  from,
  IntegerField,
  moment,
  MomentField,
  TextField,
} from '../../src/index.js';
import { useSmallHost } from '../support/small-host.js';

/** A table with columns that may be omitted, one for each reason. */
const tasks = pgTable('tasks', {
  id: uuid('id').primaryKey().defaultRandom(),
  title: text('title').notNull(),
  priority: integer('priority').notNull().default(3),
  done: boolean('done').notNull().default(false),
  owner: text('owner')
    .notNull()
    .default(SQL`upper('nobody')`),
  due: moment('due').notNull().default('2026-01-31T12:00:00.000Z'),
  slug: text('slug').notNull(),
  ...createTimestamps(),
  version: integer('version').notNull().default(1),
});

const MIGRATION = `
  create table tasks (
    id uuid primary key default gen_random_uuid(), title text not null, priority integer not null,
    done boolean not null, owner text not null, due timestamptz(3) not null,
    slug text not null, created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now(), version integer not null default 1);
  create function set_slug() returns trigger language plpgsql as $$
    begin new.slug := lower(new.title); return new; end $$;
  create trigger tasks_set_slug before insert or update on tasks for each row execute function set_slug();
  select track_changes('tasks', 'task');`;

const TASK = defineEntity({
  name: 'task',
  table: tasks,
  written: ['title', 'priority', 'done', 'owner', 'due'],
  setByTrigger: ['slug'],
  insertTriggers: ['tasks_set_slug'],
  sorts: ['due'],
  filters: { dueFrom: from(tasks.due) },
});

class TaskDto extends EntityDto {
  @TextField({ min: 1, max: 100 })
  title!: string;

  @IntegerField({ min: 1, max: 5 })
  priority!: number;

  @BooleanField()
  done!: boolean;

  @TextField({ min: 1, max: 100 })
  owner!: string;

  @MomentField()
  due!: string;

  @TextField({ min: 1, max: 100 })
  slug!: string;
}

const TASKS = entityResource(TASK, { path: 'tasks', dto: TaskDto });

@Module(entityModule(TASKS, { transfer: true, bodyLimit: '2kb' }))
class TasksModule {}

const host = useSmallHost(MIGRATION, TasksModule);
const DEFAULTS = { priority: 3, done: false, owner: 'NOBODY', due: '2026-01-31T12:00:00.000Z' };

it('an entity lets code omit columns with a default, and no others', async () => {
  const rows = createEntityFactory(host.db, TASK);
  const created = await rows.create({ title: 'a' });
  expect(created).toMatchObject({ title: 'a', ...DEFAULTS });
  const changed = await rows.create({ title: 'b', done: true, owner: 'me' });
  expect(changed).toMatchObject({ title: 'b', priority: 3, done: true, owner: 'me' });
  // A PUT replaces the whole row, with and without a condition on the version.
  const id = changed.id;
  const replaced = await rows.put(id, { title: 'c', priority: undefined }, { versions: [1] });
  expect(replaced.row).toMatchObject({ title: 'c', ...DEFAULTS });
  await rows.update(id, { done: true });
  expect((await rows.put(id, { title: 'd' })).row).toMatchObject({ title: 'd', ...DEFAULTS });
  // @ts-expect-error the title has no default
  const refused = await rows.create({ done: true }).catch(asDataError);
  expect(refused).toMatchObject({ code: 'invalid_value' });
});

it('an entity lets clients omit columns with a constant default, and documents it', async () => {
  const post = async (body: object) => (await host.api()).post('/tasks').send(body);
  const { status, body } = await post({ title: 'a', owner: 'me' });
  expect([status, body.data]).toEqual([
    201,
    expect.objectContaining({ priority: 3, done: false, owner: 'me' }),
  ]);
  const refused = await post({ priority: null, done: 'yes', owner: 'me' });
  expect(refused.status).toBe(400);
  expect(refused.body.errors.map(({ path }: { path: string }) => path).sort()).toEqual([
    'done',
    'priority',
    'title',
  ]);
  const { components } = SwaggerModule.createDocument(host.app, new DocumentBuilder().build());
  expect(components!.schemas!.TaskInput).toMatchObject({ required: ['title', 'owner'] });
  expect(components!.schemas!.TaskDto).toMatchObject({
    required: expect.arrayContaining(['title', 'priority', 'done', 'owner', 'id']),
  });
});

it('an entity has a column that only a trigger sets, by every write', async () => {
  const rows = createEntityFactory(host.db, TASK);
  const titles = Array.from({ length: 20 }, (_, n) => `Title ${n}`);
  const created = await Promise.all(titles.map((title) => rows.create({ title, owner: 'me' })));
  expect(created.map(({ slug }) => slug)).toEqual(titles.map((title) => title.toLowerCase()));
  const path = '/tasks/00000000-0000-4000-8000-000000000001';
  const body = { title: 'Put', owner: 'me' };
  expect((await (await host.api()).put(path).send(body)).body.data.slug).toBe('put');
  expect((await (await host.api()).put(path).send(body)).body.data.slug).toBe('put');
  const patched = await (await host.api()).patch(path).send({ title: 'Patched' });
  expect(patched.body.data.slug).toBe('patched');
  const refused = await (await host.api()).patch(path).send({ slug: 'mine' }).expect(400);
  expect(refused.body.errors).toMatchObject([{ path: 'slug' }]);
  const file = '{"title":"From File","owner":"me"}\n';
  const imported = (await host.api()).post('/tasks/import').type('application/x-ndjson').send(file);
  expect((await imported).body.data).toMatchObject({ created: 1, refused: 0 });
  const { rows: all } = await rows.list({ sort: '-createdAt', limit: 1 });
  expect(all[0]).toMatchObject({ title: 'From File', slug: 'from file' });
});

it('an entity lets files omit such a column, in NDJSON and in CSV', async () => {
  const send = async (type: string, file: string) =>
    (await host.api()).post('/tasks/import').set('Content-Type', type).send(file);
  const ndjson = await send('application/x-ndjson', '{"title":"n","owner":"me"}\n');
  expect(ndjson.body.data).toMatchObject({ created: 1, refused: 0 });
  const csv = await send('text/csv', 'title,owner,done\r\nc,me,true\r\n');
  expect(csv.body.data).toMatchObject({ created: 1, refused: 0 });
  const { rows } = await createEntityFactory(host.db, TASK).list({ sort: '-createdAt' });
  expect(rows.find(({ title }) => title === 'n')).toMatchObject({ priority: 3, done: false });
  expect(rows.find(({ title }) => title === 'c')).toMatchObject({ priority: 3, done: true });
  const missing = await send('text/csv', 'title,done\r\n');
  expect(missing.body.errors).toEqual([{ line: 1, path: 'owner', message: 'is missing' }]);
});

it('an entity has timestamps of its own, in the same format everywhere', async () => {
  const ids: string[] = [];
  for (const due of [
    '2030-01-01T01:00:00+01:00',
    '2031-01-01T00:00:00.0009Z',
    '2032-01-01T00:00:00Z',
  ]) {
    const { body } = await (await host.api()).post('/tasks').send({ title: due, owner: 'me', due });
    ids.push(body.data.id);
  }
  const at = (year: number) => `${year}-01-01T00:00:00.000Z`;
  const path = '/tasks?dueFrom=2030-01-01&sort=due&limit=2';
  const { body: first } = await (await host.api()).get(path).expect(200);
  expect(first.data.map(({ due }: { due: string }) => due)).toEqual([at(2030), at(2031)]);
  const { body: second } = await (await host.api()).get(`${path}&after=${first.meta.nextCursor}`);
  expect(second.data).toMatchObject([{ id: ids[2], due: at(2032) }]);
  const { body: history } = await (await host.api()).get(`/tasks/${ids[0]}/history`);
  expect(history.data[0].after).toEqual(first.data[0]);
  for (const format of ['ndjson', 'csv']) {
    const query = `/tasks/export?dueFrom=2030-01-01&format=${format}`;
    const file = await (await host.api()).get(query).buffer(true).expect(200);
    const type = format === 'csv' ? 'text/csv' : 'application/x-ndjson';
    const send = async (text: string) =>
      (await host.api()).post('/tasks/import').type(type).send(text);
    expect((await send(file.text)).body.data).toMatchObject({ unchanged: 3, refused: 0 });
    const later = file.text.replaceAll(at(2032), '2033-01-01T02:00:00+02:00');
    expect((await send(later)).body.data).toMatchObject({ unchanged: 2, replaced: 1 });
    const { body } = await (await host.api()).get(`/tasks/${ids[2]}`);
    expect(body.data.due).toBe(at(2033));
    const { body: reset } = await (
      await host.api()
    )
      .patch(`/tasks/${ids[2]}`)
      .send({ due: at(2032) });
    expect(reset.data.due).toBe(at(2032));
  }
  const wrong = { title: 'x', owner: 'me', due: '2030-02-30T00:00:00Z' };
  const refused = await (await host.api()).post('/tasks').send(wrong).expect(400);
  expect(refused.body.errors).toEqual([
    { path: 'due', message: 'must be a date-time such as 2026-01-31T12:00:00Z' },
  ]);
});

it('an entity refuses a body that is larger than its limit', async () => {
  // The parser of the host reads only JSON; the limit applies to what it leaves.
  const patch = async (length: number) =>
    (await host.api())
      .patch('/tasks/00000000-0000-4000-8000-000000000000')
      .type('application/merge-patch+json')
      .send(JSON.stringify({ title: ' '.repeat(length) }));
  expect((await patch(1900)).status).toBe(400);
  const refused = await patch(2100);
  expect([refused.status, refused.body.code]).toEqual([413, 'payload_too_large']);
});
