import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createEntityFactory } from '../../src/db/entity/entity.factory.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { createTechnologiesFactory } from '../../src/db/factories/technologies.factory.js';
import { STATEMENT_CHANNEL } from '../../src/db/observed.js';
import { shareReads } from '../../src/db/query/shared-reads.js';

import { PROJECT } from '../../src/db/factories/projects/columns.js';
import { aProject } from '../support/builders.js';
import { connect, endEachTest, sleep, until } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

/** A read that records each run and ends it on request. */
function aRead(patienceMs = 60_000) {
  const runs: { query: unknown; end(result: string): void; fail(error: Error): void }[] = [];
  const read = shareReads<unknown, string>(
    (query) => new Promise((end, fail) => runs.push({ query, end, fail })),
    patienceMs,
  );
  return { read, runs };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('shareReads', () => {
  it('lets the callers that wait behind a running read share the next one', async () => {
    const { read, runs } = aRead();
    const reading = [1, 2, 3, 4].map(() => read({ limit: 5 }));
    expect(runs.length).toBe(1);
    runs[0]!.end('before');
    await turn();
    expect(runs.length).toBe(2);
    runs[1]!.end('after');
    expect(await Promise.all(reading)).toEqual(['before', 'after', 'after', 'after']);
  });

  it('never answers from a read that began before the request', async () => {
    const { read, runs } = aRead();
    const first = read({});
    const second = read({});
    runs[0]!.end('before');
    await first;
    await turn();
    const third = read({}); // the second has begun
    runs[1]!.end('after');
    await turn();
    runs[2]!.end('last');
    expect(await Promise.all([first, second, third])).toEqual(['before', 'after', 'last']);
  });

  it('keeps nothing of a read that has ended', async () => {
    const { read, runs } = aRead();
    for (const n of [0, 1, 2]) {
      const reading = read({});
      runs[n]!.end(String(n));
      expect(await reading).toBe(String(n));
    }
  });

  it('does not wait for a read that hangs', async () => {
    const { read, runs } = aRead(10);
    void read({});
    const second = read({});
    await until(() => runs.length === 2);
    const third = read({});
    runs[1]!.end('after');
    expect(await second).toBe('after');
    await until(() => runs.length === 3);
    runs[2]!.end('last');
    expect(await third).toBe('last');
  });

  it('gives an error to the callers of its read only', async () => {
    const { read, runs } = aRead();
    const first = read({});
    const behind = [read({}), read({})];
    runs[0]!.fail(new Error('first'));
    await expect(first).rejects.toThrow('first');
    await turn();
    runs[1]!.fail(new Error('second'));
    for (const reading of behind) await expect(reading).rejects.toThrow('second');
    void read({});
    expect(runs.length).toBe(3);
  });

  it.each([
    ['a number and its text', 1, '1'],
    ['no value and an empty text', undefined, ''],
    ['two dates', new Date(1), new Date(2)],
    ['a list and its only item', ['a'], 'a'],
    ['lists that differ in where a text ends', ['a,b'], ['a', 'b']],
    ['texts with quotes', '","b":"', ''],
    ['true and its text', true, 'true'],
  ])('reads separately for %s', async (_, a, b) => {
    const { read, runs } = aRead();
    void read({ a });
    void read({ a: b });
    await turn();
    expect(runs.map(({ query }) => query)).toEqual([{ a }, { a: b }]);
  });

  it.each([
    ['null', null],
    ['NaN', NaN],
    ['a bigint', 1n],
    ['an invalid date', new Date(NaN)],
    ['a map', new Map([['a', 1]])],
    ['an object of a class', new (class A {})()],
    ['a list with a hole', [undefined]],
    ['bytes', new Uint8Array([1])],
    ['a function', () => 1],
  ])('does not share a query with %s', async (_, value) => {
    const { read, runs } = aRead();
    void read({ value });
    void read({ value });
    await turn();
    expect(runs.length).toBe(2);
  });
});

describe('lists that are requested at the same time', () => {
  let database: TestDatabase;
  beforeEach(async () => (database = await createTestDatabase()));
  afterEach(() => database.drop());
  endEachTest();

  /** Resolves with the number of statements that ran meanwhile. */
  async function statementsOf(work: () => Promise<unknown>): Promise<number> {
    let count = 0;
    const onStatement = () => count++;
    subscribe(STATEMENT_CHANNEL, onStatement);
    try {
      await work();
    } finally {
      unsubscribe(STATEMENT_CHANNEL, onStatement);
    }
    return count;
  }

  const all = <T>(read: () => Promise<T>) => Promise.all(Array.from({ length: 40 }, read));

  it('are read for all that wait, and each caller gets the whole page', async () => {
    const { db } = connect({ url: database.url });
    const projects = createProjectsFactory(db);
    for (const name of ['A', 'B', 'C']) {
      await projects.createProject(aProject({ name, technologies: [name, 'SQL'] }));
      await sleep(2); // a separate millisecond for each, so that the order of creation is known
    }
    const generic = createEntityFactory(db, PROJECT);
    const technologies = createTechnologiesFactory(db);
    const first = await projects.listProjects({ limit: 1, technology: ['SQL'] });
    const lists = {
      projects: async () => (await projects.listProjects()).projects.map(({ name }) => name),
      page: async () =>
        (
          await projects.listProjects({ limit: 1, technology: ['SQL'], after: first.next })
        ).projects.map(({ name }) => name),
      generic: async () => (await generic.list({ limit: 2 })).rows.map(({ name }) => name),
      technologies: async () => (await technologies.getTechnologies('s')).map(({ name }) => name),
    };
    const expected = {
      projects: ['C', 'B', 'A'],
      page: ['B'],
      generic: ['C', 'B'],
      technologies: ['SQL'],
    };
    for (const [name, list] of Object.entries(lists)) {
      let found: string[][] = [];
      const statements = await statementsOf(async () => (found = (await all(list)) as string[][]));
      expect(found).toEqual(Array.from({ length: 40 }, () => expected[name as keyof typeof lists]));
      expect([name, statements]).toEqual([name, 2]);
    }
  });

  it('belong to their caller, who may change them', async () => {
    const { db } = connect({ url: database.url });
    const generic = createEntityFactory(db, PROJECT);
    const technologies = createTechnologiesFactory(db);
    const { id } = await generic.create(aProject({ name: 'A', technologies: ['SQL'] }));
    const rename = (row: { name: string }) => {
      const before = row.name;
      row.name = 'changed';
      return before;
    };
    const reads = {
      page: async () => (await generic.list()).rows.splice(0).map(rename),
      row: async () => [rename(await generic.get(id))],
      technologies: async () => (await technologies.getTechnologies()).splice(0).map(rename),
    };
    const expected = { page: ['A'], row: ['A'], technologies: ['SQL'] };
    for (const [name, read] of Object.entries(reads)) {
      expect(await all(read)).toEqual(
        Array.from({ length: 40 }, () => expected[name as keyof typeof reads]),
      );
    }
  });

  it('see what was committed before, also while an older read is still running', async () => {
    const { db } = connect({ url: database.url });
    const projects = createProjectsFactory(db);
    for (let n = 1; n <= 20; n++) {
      const earlier = [projects.listProjects(), projects.listProjects()];
      await projects.createProject(aProject({ name: `P${n}` }));
      expect((await projects.listProjects()).projects.length).toBe(n);
      await Promise.all(earlier);
    }
  });
});
