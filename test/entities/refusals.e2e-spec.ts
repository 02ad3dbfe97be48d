import { randomUUID } from 'node:crypto';
import { Module } from '@nestjs/common';
import { DrizzleQueryError, sql } from 'drizzle-orm';
import { integer, pgSchema, text, uuid } from 'drizzle-orm/pg-core';
import {
  asDataError,
  createEntityFactory,
  createProjectsFactory,
  createTimestamps,
  defineEntity,
  EntityDto,
  entityModule,
  entityResource,
  IntegerField,
  Nullable,
  ProjectsModule,
  TextField,
  UuidField,
} from '../../src/index.js';
import { explainRefusal } from '../../src/db/entity/explain-refusal.js';
import { TEXT } from '../../src/db/entity/column-kinds.js';
import { useSmallHost } from '../support/small-host.js';

/** A table with a unique constraint of each form, a reference to itself, and one to projects. */
const devices = pgSchema('host').table('devices', {
  id: uuid('id').primaryKey().defaultRandom(),
  serialNumber: text('serialNumber').notNull().unique(),
  owner: text('owner').notNull(),
  rackPlace: integer('rack_place').notNull(),
  code: text('code').notNull().default(''),
  hidden: text('hidden')
    .notNull()
    .generatedAlwaysAs(sql`case when owner like 'hidden %' then 'same' else '' end`),
  parentId: uuid('parent_id'),
  projectId: uuid('project_id'),
  ...createTimestamps(),
  version: integer('version').notNull().default(1),
});

const PROJECT = '00000000-0000-4000-8000-00000000000a';
const MIGRATION = `
  create schema host;
  create table host.devices (
    id uuid primary key default gen_random_uuid(), "serialNumber" text not null constraint anything unique,
    owner text not null, rack_place integer not null, code text not null default '', hidden text not null
      generated always as (case when owner like 'hidden %' then 'same' else '' end) stored,
    parent_id uuid references host.devices, project_id uuid references projects,
    created_at timestamptz(3) not null default now(), updated_at timestamptz(3) not null default now(),
    version integer not null default 1, unique (rack_place, owner));
  create unique index on host.devices (lower(code)) where code <> '';
  create unique index on host.devices (hidden) where hidden <> '';
  select track_changes('host.devices', 'device');
  create table host.owners (owner text primary key);
  create function host.add_owner() returns trigger language plpgsql as $$ begin
    if new.owner like 'single %' then insert into host.owners values (new.owner); end if;
    return new;
  end $$;
  create trigger add_owner before insert on host.devices for each row execute function host.add_owner();
  create table host.readings (device uuid references host.devices on delete restrict);
  insert into projects (id, name, description, technologies) values ('${PROJECT}', 'Referenced', '', '[]');`;

const REFERENCE = { ...TEXT, toParameter: (value: unknown) => value };
const DEVICE = defineEntity({
  name: 'device',
  table: devices,
  written: ['serialNumber', 'owner', 'rackPlace', 'code', 'parentId', 'projectId'],
  hidden: ['hidden'],
  kinds: { parentId: REFERENCE, projectId: REFERENCE },
  insertTriggers: ['add_owner'],
  updateTriggers: [],
});

class DeviceDto extends EntityDto {
  @TextField({ min: 1, max: 100 })
  serialNumber!: string;

  @TextField({ min: 1, max: 100 })
  owner!: string;

  @IntegerField({ min: 0, max: 100_000 })
  rackPlace!: number;

  @TextField({ min: 0, max: 100 })
  code!: string;

  @Nullable()
  @UuidField()
  parentId!: string | null;

  @Nullable()
  @UuidField()
  projectId!: string | null;
}

const resource = entityResource(DEVICE, { path: 'devices', dto: DeviceDto });

@Module({ ...entityModule(resource, { transfer: true }), imports: [ProjectsModule] })
class DevicesModule {}

const host = useSmallHost(MIGRATION, DevicesModule);
const api = () => host.api();
let number = 0;
const aDevice = (values: object = {}) => {
  number++;
  return {
    serialNumber: `S${number}`,
    owner: `o${number}`,
    rackPlace: number,
    code: '',
    ...values,
  };
};
const post = async (values: object) => (await api()).post('/devices').send(values);
const created = async (values: object = {}) => {
  const sent = aDevice(values);
  const { id } = (await post(sent)).body.data as { id: string };
  return { id, path: `/devices/${id}`, ...sent };
};
const said = ({ status, body }: { status: number; body: Record<string, unknown> }) => [
  status,
  body.code,
  body.detail,
  body.errors,
];

const SAME_NUMBER = [
  409,
  'already_exists',
  'Another device with the same serialNumber exists already.',
  [{ path: 'serialNumber', message: 'must be unique' }],
];

describe('a value that must be unique', () => {
  it('is named by POST, PUT and PATCH, also under an Idempotency-Key', async () => {
    const { serialNumber } = await created();
    const { path } = await created();
    const same = aDevice({ serialNumber });
    expect(said(await post(same))).toEqual(SAME_NUMBER);
    const keyed = await (await api()).post('/devices').set('Idempotency-Key', 'k').send(same);
    expect(said(keyed)).toEqual(SAME_NUMBER);
    const before = await (await api()).get(path);
    for (const url of [path, `/devices/${randomUUID()}`])
      expect(said(await (await api()).put(url).send(same))).toEqual(SAME_NUMBER);
    const conditional = (await api()).put(path).set('If-Match', '"1"').send(same);
    expect(said(await conditional)).toEqual(SAME_NUMBER);
    expect(said(await (await api()).patch(path).send({ serialNumber }))).toEqual(SAME_NUMBER);
    expect((await (await api()).get(path)).body).toEqual(before.body);
  });

  it('is named together with the others of the same constraint', async () => {
    const { rackPlace, owner } = await created();
    expect(said(await post(aDevice({ rackPlace, owner })))).toEqual([
      409,
      'already_exists',
      'Another device with the same rackPlace and owner exists already.',
      [
        { path: 'rackPlace', message: 'must be unique together with owner' },
        { path: 'owner', message: 'must be unique together with rackPlace' },
      ],
    ]);
  });

  it.each([
    ['of an expression', { code: 'Code' }, { code: 'cODE' }],
    ['of a hidden column', { owner: 'hidden a' }, { owner: 'hidden b' }],
    ['of another table', { owner: 'single a' }, { owner: 'single a' }],
  ])('is not named if the constraint is %s', async (_, first, second) => {
    await created(first);
    expect(said(await post(aDevice(second)))).toEqual([
      409,
      'already_exists',
      'An entry with this key exists already.',
      undefined,
    ]);
  });

  it('is reported only to the writers of the refused rows when many write at the same time', async () => {
    const taken = (await created({ serialNumber: ')=(taken)' })).serialNumber;
    const rows = createEntityFactory(host.db, DEVICE);
    const numbers = Array.from({ length: 40 }, (_, n) => (n % 4 === 0 ? taken : `free ${n}`));
    const refused = (write: Promise<unknown>) => write.then(() => undefined, asDataError);
    const creations = numbers.map((serialNumber) =>
      rows.create(aDevice({ serialNumber }) as never),
    );
    const told = await Promise.all(creations.map(refused));
    const expected = numbers.map((value) => (value === taken ? SAME_NUMBER[3] : undefined));
    expect(told.map((error) => error?.faults)).toEqual(expected);
    expect(JSON.stringify(told.map((error) => error?.message))).not.toContain('taken');

    const made = await Promise.all(creations.map((one) => one.catch(() => undefined)));
    const ids = made.flatMap((row) => row?.id ?? []);
    const updates = ids.map((id, n) =>
      rows.update(id, { serialNumber: n % 4 === 0 ? taken : `changed ${n}` }),
    );
    const toldLater = await Promise.all(updates.map(refused));
    expect(toldLater.map((error) => error?.faults)).toEqual(
      ids.map((_, n) => (n % 4 === 0 ? SAME_NUMBER[3] : undefined)),
    );
  });
});

describe('a refused row of an import', () => {
  const send = async (...rows: object[]) =>
    (await api())
      .post('/devices/import')
      .type('application/x-ndjson')
      .send(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const count = async () => (await host.db.execute('select from host.devices')).length;

  it('is named by line and field, whether it repeats a stored row or one of the file', async () => {
    const { serialNumber, rackPlace, owner } = await created();
    const before = await count();
    const stored = await send(aDevice(), aDevice({ serialNumber }), aDevice());
    const told = (line: number) => [
      409,
      'already_exists',
      `Another device with the same serialNumber exists already. The database refused line ${line}.`,
      [{ line, path: 'serialNumber', message: 'must be unique' }],
    ];
    expect(said(stored)).toEqual(told(2));
    const twice = aDevice();
    expect(said(await send(aDevice(), twice, aDevice(), aDevice(twice)))).toEqual(told(4));
    const together = await send(aDevice(), aDevice(), aDevice({ rackPlace, owner }));
    expect(together.body.errors).toEqual([
      { line: 3, path: 'rackPlace', message: 'must be unique together with owner' },
      { line: 3, path: 'owner', message: 'must be unique together with rackPlace' },
    ]);
    expect(await count()).toBe(before);
  });

  it('is named by its reference, and by the lines of its statement if nothing else is known', async () => {
    const missing = '00000000-0000-4000-8000-0000000000FF';
    expect(said(await send(aDevice(), aDevice({ parentId: missing })))).toEqual([
      400,
      'invalid_value',
      'An entry that the values refer to does not exist. The database refused line 2.',
      [{ line: 2, path: 'parentId', message: 'must refer to an entry that exists' }],
    ]);
    const unknown = await send(
      aDevice(),
      aDevice({ owner: 'single b' }),
      aDevice({ owner: 'single b' }),
    );
    expect(said(unknown)).toEqual([
      409,
      'already_exists',
      'An entry with this key exists already. The database refused one of the lines 1 to 3.',
      undefined,
    ]);
  });
});

describe('a reference', () => {
  it.each(['parentId', 'projectId'])(
    'in %s to a row that does not exist is named',
    async (path) => {
      const values = { [path]: randomUUID() };
      const expected = [
        400,
        'invalid_value',
        'An entry that the values refer to does not exist.',
        [{ path, message: 'must refer to an entry that exists' }],
      ];
      expect(said(await post(aDevice(values)))).toEqual(expected);
      const { path: url } = await created();
      expect(said(await (await api()).patch(url).send(values))).toEqual(expected);
    },
  );

  const kept = (name: string, entries: string) => [
    409,
    'still_referenced',
    `${entries} still refer to this ${name}. Remove them, or let them refer to another one, then send the request again.`,
    undefined,
  ];

  it('to a row prevents its removal, by whatever route, until the reference is removed', async () => {
    const { path, id } = await created({ projectId: PROJECT });
    const project = `/projects/${PROJECT}`;
    const expected = kept('project', 'Entries of the entity device');
    expect(said(await (await api()).delete(project))).toEqual(expected);
    const operations = [{ op: 'delete', id: PROJECT }];
    expect(said(await (await api()).post('/projects/batch').send({ operations }))).toEqual(
      expected,
    );
    const child = await created({ parentId: id });
    expect(said(await (await api()).delete(path))).toEqual(
      kept('device', 'Entries of the entity device'),
    );
    await (await api()).delete(child.path).expect(200);
    await (await api()).delete(path).expect(200);
  });

  it('of a table that is no entity is not named, with NO ACTION and with RESTRICT', async () => {
    const { path, id } = await created();
    await host.db.execute(`insert into host.readings values ('${id}')`);
    expect(said(await (await api()).delete(path))).toEqual(kept('device', 'Other entries'));
    expect((await (await api()).get(path)).status).toBe(200);
  });

  it('is refused with the same code by a factory, on the pool and in a transaction', async () => {
    await created({ projectId: PROJECT });
    const refused = { code: 'still_referenced' };
    await expect(createProjectsFactory(host.db).deleteProject(PROJECT)).rejects.toMatchObject(
      refused,
    );
    const within = host.db.transaction((tx) => createProjectsFactory(tx).deleteProject(PROJECT));
    await expect(within).rejects.toMatchObject(refused);
  });
});

describe('an error of a server in another language', () => {
  const german = (fields: object) =>
    new DrizzleQueryError(
      '',
      [],
      Object.assign(new Error('Fehler'), { schema_name: 'host', table_name: 'devices', ...fields }),
    );

  it('names the fields of a unique constraint', () => {
    const detail = 'Schlüssel »("serialNumber")=(x)« existiert bereits.';
    expect(explainRefusal(DEVICE, german({ code: '23505', detail }))).toMatchObject({
      code: 'already_exists',
      faults: SAME_NUMBER[3],
    });
  });

  it('names no field if it has no detail, because the role may not read the columns', () => {
    const error = german({ code: '23505' });
    expect(explainRefusal(DEVICE, error)).toBe(error);
    expect(asDataError(error)).not.toHaveProperty('faults');
  });

  it('is a remaining reference only if a row is removed', () => {
    const error = german({ code: '23503', detail: 'Schlüssel (id)=(x)' });
    expect(explainRefusal(DEVICE, error, { isRemoval: true })).toMatchObject({
      code: 'still_referenced',
    });
    expect(explainRefusal(DEVICE, error)).toBe(error);
    expect(asDataError(error)).toMatchObject({ code: 'invalid_value' });
  });
});
