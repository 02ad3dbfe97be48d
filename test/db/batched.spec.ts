import { batched } from '../../src/db/query/batched.js';
import { until } from '../support/connections.js';

/** A read that records each statement and ends it on request. */
function aRead(patienceMs = 60_000) {
  const statements: { keys: string[]; end(): void; fail(error: Error): void }[] = [];
  const read = batched<string, string>(
    (keys) => {
      return new Promise((resolve, reject) => {
        const found = new Map(
          keys.filter((key) => key !== 'missing').map((key) => [key, `of ${key}`]),
        );
        statements.push({ keys, end: () => resolve(found), fail: reject });
      });
    },
    { patienceMs },
  );
  return { read, statements };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('batched', () => {
  it('reads all keys of one turn of the event loop in one statement, each key once', async () => {
    const { read, statements } = aRead();
    const reading = Promise.all(['a', 'b', 'a', 'missing'].map(read));
    await turn();
    expect(statements.map(({ keys }) => keys)).toEqual([['a', 'b', 'missing']]);
    statements[0]!.end();
    expect(await reading).toEqual(['of a', 'of b', 'of a', undefined]);
  });

  it('never answers from a statement that began before the request', async () => {
    const { read, statements } = aRead();
    const first = read('a');
    await turn();
    const second = read('a');
    await turn();
    expect(statements.map(({ keys }) => keys)).toEqual([['a'], ['a']]);
    statements[0]!.end();
    statements[1]!.end();
    expect([await first, await second]).toEqual(['of a', 'of a']);
  });

  it('runs at most two statements, and the next statement has all other keys', async () => {
    const { read, statements } = aRead();
    const reading = [];
    for (const key of ['a', 'b', 'c', 'd', 'e']) {
      reading.push(read(key));
      await turn();
    }
    expect(statements.map(({ keys }) => keys)).toEqual([['a'], ['b']]);
    statements[0]!.end();
    await turn();
    await turn();
    expect(statements.map(({ keys }) => keys)).toEqual([['a'], ['b'], ['c', 'd', 'e']]);
    for (const statement of statements) statement.end();
    expect(await Promise.all(reading)).toEqual(['of a', 'of b', 'of c', 'of d', 'of e']);
  });

  it('asks for at most a hundred keys in a statement, and never for none', async () => {
    const { read, statements } = aRead();
    const reading = Array.from({ length: 350 }, (_, n) => read(String(n)));
    const sizes = () => statements.map(({ keys }) => keys.length);
    await turn();
    expect(sizes()).toEqual([100, 100]);
    for (let at = 0; at < 4; at++) {
      statements[at]!.end();
      await turn();
      await turn();
      expect(sizes().length).toBeLessThanOrEqual(at + 3); // one statement has ended for each that begins
    }
    expect((await Promise.all(reading)).length).toBe(350);
    await turn();
    expect(sizes()).toEqual([100, 100, 100, 50]);
  });

  it('starts another statement while the running ones hang, if enough keys wait', async () => {
    const { read, statements } = aRead(10);
    const reading = [];
    for (const key of ['a', 'b', 'c', 'd']) {
      reading.push(read(key));
      await turn();
    }
    const more = ['e', 'f'].map((key) => read(key));
    await until(() => statements.flatMap(({ keys }) => keys).length === 6);
    for (const statement of statements.slice(2)) statement.end();
    expect(await Promise.all([...reading.slice(2), ...more])).toEqual([
      'of c',
      'of d',
      'of e',
      'of f',
    ]);
    statements[0]!.end();
    statements[1]!.end();
    await Promise.all(reading);
  });

  it('reports a failure to the callers of its keys, and continues', async () => {
    const { read, statements } = aRead();
    const failing = Promise.allSettled([read('a'), read('b')]);
    await turn();
    const other = read('c');
    await turn();
    statements[0]!.fail(new Error('lost'));
    statements[1]!.end();
    expect((await failing).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await other).toBe('of c');
    const later = read('a');
    await turn();
    statements[2]!.end();
    expect(await later).toBe('of a');
  });
});
