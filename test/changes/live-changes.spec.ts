import { jest } from '@jest/globals';
import { type Follower, LiveChanges } from '../../src/changes/live-changes.js';
import { WakeUp } from '../../src/changes/wake-up.js';
import type { Db } from '../../src/db/connection.js';
import { type FeedPosition, isBefore } from '../../src/db/entity/change-feed.js';
import { createChangesFactory } from '../../src/db/entity/changes.factory.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { aProject } from '../support/builders.js';
import { atEnd, connect, connectPlainly, endEachTest, until } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let db: Db;
let live: LiveChanges;
beforeEach(async () => {
  database = await createTestDatabase();
  ({ db } = connect({ url: database.url }));
  live = new LiveChanges(db, 'project');
  atEnd(() => live.ended());
});
endEachTest();
afterEach(() => database.drop());

/** A follower that stores everything that it gets. */
class Keeper implements Follower {
  readonly kept: FeedPosition[] = [];

  constructor(public seen: FeedPosition) {
    atEnd(() => live.leave(this));
  }

  take({ events }: Parameters<Follower['take']>[0]): void {
    this.kept.push(...events.filter((event) => isBefore(this.seen, event)));
    this.seen = this.kept.at(-1) ?? this.seen;
  }

  get isBehind(): boolean {
    return false;
  }

  get sequences(): number[] {
    return this.kept.map(({ sequence }) => sequence);
  }

  leaveBehind(): void {}
  end(): void {}
}

/** A follower that takes each batch some time after it got it. */
class Slow extends Keeper {
  isLeftBehind = false;
  #behindUntil = 0;

  override get isBehind(): boolean {
    return performance.now() < this.#behindUntil;
  }

  override take(batch: Parameters<Follower['take']>[0]): void {
    super.take(batch);
    this.#behindUntil = performance.now() + 60;
  }

  override leaveBehind(): void {
    this.isLeftBehind = true;
  }
}

const end = () => createChangesFactory(db, 'project').getFeedEnd();
const create = (count: number, description = '') =>
  createMany(Array.from({ length: count }, () => aProject({ description })));
const createMany = async (values: ReturnType<typeof aProject>[]) => {
  for (const value of values) await createProjectsFactory(db).createProject(value);
};

describe('the buffer of live changes', () => {
  it('serves a late stream from its position, without a gap or a repetition', async () => {
    const start = await end();
    const first = new Keeper(start);
    expect(live.join(first)).toBe(true);
    await create(5);
    await until(() => first.kept.length === 5);

    const late = new Keeper(start);
    const later = new Keeper(first.kept[2]!);
    const ahead = new Keeper({
      position: first.kept[4]!.position + 2,
      sequence: 0,
      commitTime: 0,
    });
    for (const follower of [late, later, ahead]) expect(live.join(follower)).toBe(true);
    expect([late.sequences, later.sequences, ahead.sequences]).toEqual([
      [1, 2, 3, 4, 5],
      [4, 5],
      [],
    ]);
    await create(2);
    await until(() => late.kept.length === 7);
    expect(later.sequences).toEqual([4, 5, 6, 7]);
    expect(ahead.sequences).toEqual([7]);
  });

  it('contains up to one megabyte; a stream that is further behind has to read from the database', async () => {
    const start = await end();
    const first = new Keeper(start);
    live.join(first);
    await create(40, '€'.repeat(20_000));
    await until(() => first.kept.length === 40);
    expect(live.join(new Keeper(start))).toBe(false);
    expect(live.join(new Keeper(first.kept[10]!))).toBe(false);
    const near = new Keeper(first.kept[30]!);
    expect(live.join(near)).toBe(true);
    expect(near.sequences).toEqual(first.sequences.slice(31));
  });

  it('starts again at the position of the first stream after all streams have left', async () => {
    const start = await end();
    const first = new Keeper(start);
    live.join(first);
    await create(1);
    await until(() => first.kept.length === 1);
    live.leave(first);
    await live.ended();
    await create(1);
    const next = new Keeper(start);
    expect(live.join(next)).toBe(true);
    await until(() => next.kept.length === 2);
    expect(first.kept).toHaveLength(1);
  });

  it('continues without a pause while there are more changes, as after a large import', async () => {
    const start = await end();
    const sql = connectPlainly(database.url);
    await sql`insert into projects (name, description, technologies)
      select n, '', '[]' from generate_series(1, 10000) as n`;
    await sql`analyze`;
    const waits = jest.spyOn(WakeUp.prototype, 'wait');
    atEnd(() => waits.mockRestore());
    const behind = new Keeper(start);
    live.join(behind);
    await until(() => behind.kept.length === 10_000, 60_000);
    expect(waits.mock.calls.length).toBeLessThan(10); // not one read for each of a hundred pages
  });

  it('waits for a slow stream for a quarter of a second in total, and then leaves it behind', async () => {
    const start = await end();
    const [quick, slow] = [new Keeper(start), new Slow(start)];
    for (const follower of [quick, slow]) expect(live.join(follower)).toBe(true);
    await create(40, '€'.repeat(20_000)); // each one is a batch
    await until(() => quick.kept.length === 40);
    expect(slow.isLeftBehind).toBe(true);
    expect(slow.kept.length).toBeGreaterThan(1);
    expect(slow.kept.length).toBeLessThan(40); // otherwise the others would have waited for each batch
    const had = slow.kept.length;
    await create(1);
    await until(() => quick.kept.length === 41);
    expect(slow.kept).toHaveLength(had);
  });
});
