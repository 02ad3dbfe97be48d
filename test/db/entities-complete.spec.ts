import { readdirSync } from 'node:fs';
import path from 'node:path';
import { getTableName } from 'drizzle-orm';
import { date, integer, pgTable, uuid } from 'drizzle-orm/pg-core';
import type postgres from 'postgres';
import { defineEntity, type Entity } from '../../src/db/entity/entity.js';
import { createTimestamps, projects } from '../../src/db/schema.js';
import { atEnd, connectPlainly, endEachTest } from '../support/connections.js';
import { createTestDatabase } from '../support/database.js';

const FACTORIES = path.resolve(import.meta.dirname, '../../src/db/factories');

endEachTest();

async function migrated(): Promise<postgres.Sql> {
  const database = await createTestDatabase();
  atEnd(() => database.drop());
  return connectPlainly(database.url);
}

/** Returns every entity that a file in src/db/factories exports. */
async function allEntities(): Promise<Entity[]> {
  const files = readdirSync(FACTORIES, { recursive: true, encoding: 'utf8' });
  const values: unknown[] = [];
  for (const file of files.filter((name) => name.endsWith('.ts')))
    values.push(...Object.values<unknown>(await import(path.join(FACTORIES, file))));
  return values.filter(isEntity);
}

function isEntity(value: unknown): value is Entity {
  return typeof value === 'object' && value !== null && 'sorts' in value && 'table' in value;
}

/** Returns what the database lacks for an entity, with the remedy. */
async function faultsOf(sql: postgres.Sql, entity: Entity): Promise<string[]> {
  const { name, table, sorts } = entity;
  const tableName = getTableName(table);
  const tracked = await sql`
    select from pg_trigger where tgrelid = ${tableName}::regclass
      and tgname = ${`${tableName}_changes_created`}`;
  const call = `SELECT track_changes('${tableName}', '${name}');`;
  const untracked = `${tableName} has no history: write \`${call}\` in src/db/functions/${tableName}_tracking.sql, then run npm run db:generate`;
  const indexed = await sql`
    select distinct attname from pg_index join pg_attribute on attrelid = indrelid and attnum = indkey[0]
    where indrelid = ${tableName}::regclass and indpred is null and indkey[1] = (
      select attnum from pg_attribute where attrelid = indrelid and attname = 'id')`;
  const columns = indexed.map(({ attname }) => attname as string);
  const unindexed = sorts
    .map((sort) => entity.columns[sort]!.name)
    .filter((column) => !columns.includes(column))
    .map((column) => `${tableName} has no index on (${column}, id): add it in src/db/schema.ts`);
  return [...(tracked.length === 0 ? [untracked] : []), ...unindexed];
}

it('every entity has the triggers of track_changes, and an index on (column, id) for each sort', async () => {
  const sql = await migrated();
  const entities = await allEntities();
  expect(entities.map(({ table }) => table)).toContain(projects);
  for (const entity of entities) expect(await faultsOf(sql, entity)).toEqual([]);
});

it('an entity without them is reported with the remedies', async () => {
  const sql = await migrated();
  await sql`create table milestones (
    id uuid primary key, due_on date, created_at timestamptz, updated_at timestamptz, version integer)`;
  await sql`create index on milestones (created_at, id)`;
  await sql`create index on milestones (updated_at, id)`;
  const table = pgTable('milestones', {
    id: uuid('id').primaryKey(),
    dueOn: date('due_on').notNull(),
    ...createTimestamps(),
    version: integer('version').notNull(),
  });
  const entity = defineEntity({ name: 'milestone', table, written: ['dueOn'], sorts: ['dueOn'] });
  expect(await faultsOf(sql, entity)).toEqual([
    "milestones has no history: write `SELECT track_changes('milestones', 'milestone');` in src/db/functions/milestones_tracking.sql, then run npm run db:generate",
    'milestones has no index on (due_on, id): add it in src/db/schema.ts',
  ]);
});
