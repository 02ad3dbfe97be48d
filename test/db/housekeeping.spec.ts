import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { integer, pgTable, uuid } from 'drizzle-orm/pg-core';
import { DatabaseModule } from '../../src/db/database.module.js';
import { startHousekeeping } from '../../src/db/housekeeping.js';
import {
  createTimestamps,
  defineEntity,
  EntityDto,
  entityModule,
  entityResource,
  ProjectsModule,
} from '../../src/index.js';
import {
  atEnd,
  connect,
  connectPlainly,
  endEachTest,
  sleep,
  until,
} from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startService } from '../support/service.js';

/** A host's entity. These tests do not use its table. */
const notes = pgTable('notes', {
  id: uuid('id').primaryKey(),
  ...createTimestamps(),
  version: integer('version').notNull(),
});
const NOTE = defineEntity({ name: 'note', table: notes, written: [] });
const NOTES = entityResource(NOTE, { path: 'notes', dto: EntityDto });
@Module(entityModule(NOTES, { historyRetentionDays: 10 }))
class NotesModule {}

let database: TestDatabase;
beforeEach(async () => (database = await createTestDatabase()));
endEachTest();
afterEach(() => database.drop());

const fails = (task: string, error: unknown) => {
  throw new Error(task, { cause: error });
};

describe('housekeeping', () => {
  it('repeats a task until nothing is left, and starts again after the interval', async () => {
    const { db } = connect({ url: database.url });
    const left = [3, 1];
    const done: number[] = [];
    const task = {
      name: 'counting',
      step: async () => {
        done.push(left[0]!);
        return left[0]! > 0 ? left[0]!-- : 0;
      },
    };
    const { stop } = startHousekeeping(db, [task], { intervalMs: 20, onError: fails });
    await until(() => done.length === 4);
    expect(done).toEqual([3, 2, 1, 0]);
    left.shift();
    await until(() => done.at(-2) === 1 && done.at(-1) === 0);
    await stop();
    const before = done.length;
    await sleep(60);
    expect(done).toHaveLength(before);
  });

  it('leaves a task to another instance that runs it', async () => {
    const { db } = connect({ url: database.url });
    let running = 0;
    let steps = 0;
    let most = 0;
    const task = {
      name: 'alone',
      step: async () => {
        most = Math.max(most, ++running);
        await sleep(5);
        running--;
        return ++steps < 40 ? 1 : 0;
      },
    };
    const instances = [1, 2, 3].map(() =>
      startHousekeeping(db, [task], { intervalMs: 1, onError: fails }),
    );
    await until(() => steps >= 40);
    await Promise.all(instances.map(({ stop }) => stop()));
    expect(most).toBe(1);
  });

  it('continues with the other tasks when one fails, and tries that task again', async () => {
    const { db } = connect({ url: database.url });
    const told: string[] = [];
    let others = 0;
    let tries = 0;
    const failing = {
      name: 'failing',
      step: () => Promise.reject(new Error(`on purpose ${++tries}`)),
    };
    const other = { name: 'other', step: () => Promise.resolve(Number(others++ < 0)) };
    const { stop } = startHousekeeping(db, [failing, other], {
      intervalMs: 10,
      onError: (task, error) => told.push(`${task}: ${(error as Error).message}`),
    });
    await until(() => tries >= 2 && others >= 2);
    await stop();
    expect(told.slice(0, 2)).toEqual(['failing: on purpose 1', 'failing: on purpose 2']);
  });
});

it('the running service removes only expired idempotency keys', async () => {
  const sql = connectPlainly(database.url);
  await sql`insert into idempotency_keys (caller, key, fingerprint, created_at)
    select '', hours || ' hours', '', now() - hours * interval '1 hour' from unnest(array[23, 25]) as hours`;
  const service = await startService({ DATABASE_URL: database.url });
  atEnd(() => service.close());
  const keys = async () => (await sql`select key from idempotency_keys`).map(({ key }) => key);
  await until(async () => (await keys()).length === 1);
  expect(await keys()).toEqual(['23 hours']);
});

describe('the retention of changes', () => {
  /** Three projects. The changes of one were committed 40 days ago, those of another one 20 days ago. */
  async function withAgedChanges() {
    const sql = connectPlainly(database.url);
    for (const days of [40, 20, 0]) {
      await sql`insert into projects (name, description, technologies) values (${`${days} days`}, '', '[]')`;
      await sql`update change_commits set at = now() - ${days} * interval '1 day'
        where position = (select max(position) from change_commits)`;
    }
    return async () =>
      (await sql`select after ->> 'name' as name from changes order by sequence`).map(
        ({ name }) => name,
      );
  }

  it('follows the environment, and is disabled by default', async () => {
    const kept = await withAgedChanges();
    const without = await startService({ DATABASE_URL: database.url });
    await sleep(200);
    await without.close();
    expect(await kept()).toEqual(['40 days', '20 days', '0 days']);
    const service = await startService({
      DATABASE_URL: database.url,
      HISTORY_RETENTION_DAYS: '30',
    });
    atEnd(() => service.close());
    await until(async () => (await kept()).length < 3);
    await sleep(200);
    expect(await kept()).toEqual(['20 days', '0 days']);
    const { body } = await fetch(`${service.url}/api/projects/changes`).then(async (answer) => ({
      body: (await answer.json()) as { data: { after: { name: string } }[] },
    }));
    expect(body.data.map(({ after }) => after.name)).toEqual(['20 days', '0 days']);
  });

  it.each([
    ['forRoot', undefined, () => ProjectsModule.forRoot({ historyRetentionDays: 10 })],
    ['an entity of its own', undefined, () => NotesModule],
    ['forDatabase', 'own', () => ProjectsModule.forDatabase('own', { historyRetentionDays: 10 })],
  ])('follows the option of a host for %s', async (_, name, module) => {
    const kept = await withAgedChanges();
    const sql = connectPlainly(database.url);
    await sql`insert into idempotency_keys (caller, key, fingerprint, created_at)
      values ('', 'old', '', now() - interval '25 hours')`;
    @Module({ imports: [DatabaseModule.forRoot({ url: database.url, name }), module()] })
    class HostModule {}
    const app = await NestFactory.create(HostModule, { logger: false });
    atEnd(() => app.close());
    await app.init();
    await until(async () => (await kept()).length === 1);
    expect(await kept()).toEqual(['0 days']);
    await until(async () => (await sql`select from idempotency_keys`).length === 0);
  });
});
