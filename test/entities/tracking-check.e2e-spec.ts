import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { integer, pgSchema, uuid } from 'drizzle-orm/pg-core';
import {
  createTimestamps,
  DatabaseModule,
  defineEntity,
  EntityDto,
  entityModule,
  entityResource,
} from '../../src/index.js';
import { MIGRATES_AFTER_START } from '../../src/entities/tracking-check.js';
import { atEnd, connectPlainly, endEachTest } from '../support/connections.js';
import { createTestDatabase } from '../support/database.js';

/** The longest name of a table, with characters that must be quoted. */
const TABLE = `Lent "Cars" ${'x'.repeat(33)}`;
const cars = pgSchema('fleet').table(TABLE, {
  id: uuid('id').primaryKey().defaultRandom(),
  ...createTimestamps(),
  version: integer('version').notNull().default(1),
});
const CAR = defineEntity({ name: "hirer's car", table: cars, written: [] });

@Module(entityModule(entityResource(CAR, { path: 'cars', dto: EntityDto })))
class CarsModule {}

const NAME = `fleet."${TABLE.replaceAll('"', '""')}"`;
const CREATE = `create schema fleet; create table ${NAME} (id uuid primary key default gen_random_uuid(),
  created_at timestamptz(3) not null default now(), updated_at timestamptz(3) not null default now(),
  version integer not null default 1)`;

endEachTest();

async function migrated(migration = '') {
  const database = await createTestDatabase();
  atEnd(() => database.drop());
  const sql = connectPlainly(database.url);
  await sql.unsafe(migration);
  return { url: database.url, sql };
}

/** Starts a host; resolves with the message of the error if it does not start. */
async function startUp(url: string, migratesLater?: boolean): Promise<string | undefined> {
  const settings = [{ provide: MIGRATES_AFTER_START, useValue: migratesLater }];
  @Module({ providers: settings, exports: settings })
  class Settings {}
  const global = { module: Settings, global: true };
  const imports = [DatabaseModule.forRoot({ url }), CarsModule];
  @Module({ imports: migratesLater === undefined ? imports : [global, ...imports] })
  class HostModule {}
  const app = await NestFactory.create(HostModule, { logger: false });
  try {
    await app.listen(0, '127.0.0.1');
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await app.close();
  }
}

it('a host whose table is not tracked does not start, and the call in the error is the remedy', async () => {
  const { url, sql } = await migrated(CREATE);
  const message = await startUp(url);
  expect(message).toMatch(/^The table fleet\.Lent "Cars" x+ does not have the active triggers/);
  const call = /SELECT track_changes\(.*\);$/.exec(message!)![0];
  await sql.unsafe(call);
  expect(await startUp(url)).toBeUndefined();
});

it('a table is refused if its name is so long that two of its triggers would have the same name', () => {
  const table = pgSchema('fleet').table(`${TABLE}x`, {
    id: uuid('id').primaryKey(),
    ...createTimestamps(),
    version: integer('version').notNull(),
  });
  expect(() => defineEntity({ name: 'car', table, written: [] })).toThrow(
    'the name of its table is too long for the names of its triggers. Use at most 45 bytes.',
  );
});

it('a host does not start if a trigger is disabled or removed, or writes changes of another entity', async () => {
  const { url, sql } = await migrated(CREATE);
  const track = (entity: string) => sql`select track_changes(${NAME}, ${entity})`;
  await track('car');
  expect(await startUp(url)).toContain("for the entity hirer's car");
  await sql`drop function car_document`;
  await track("hirer's car");
  expect(await startUp(url)).toBeUndefined();
  const triggers = await sql`select tgname from pg_trigger
    where tgrelid = ${NAME}::regclass and not tgisinternal and tgname !~ 'trunc' order by tgname`;
  expect(triggers).toHaveLength(4);
  for (const { tgname } of triggers) {
    await sql.unsafe(`alter table ${NAME} disable trigger "${tgname.replaceAll('"', '""')}"`);
    expect(await startUp(url)).toContain('does not have the active triggers');
    await sql.unsafe(`alter table ${NAME} enable trigger "${tgname.replaceAll('"', '""')}"`);
  }
  expect(await startUp(url)).toBeUndefined();
});

it('a host starts before its table exists, before its database answers, and before it migrates', async () => {
  const { url } = await migrated();
  expect(await startUp(url)).toBeUndefined();
  expect(await startUp('postgres://nobody@127.0.0.1:1/none')).toBeUndefined();
  const untracked = await migrated(CREATE);
  expect(await startUp(untracked.url, true)).toBeUndefined();
  expect(await startUp(untracked.url, false)).toContain('Apply a migration with this call');
});
