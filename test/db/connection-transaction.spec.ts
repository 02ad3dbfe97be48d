import { sql } from 'drizzle-orm';
import type { Db } from '../../src/db/connection.js';
import {
  atEnd,
  backendOf,
  codeOf,
  connect,
  connectPlainly,
  endEachTest,
  sleep,
  timeOf,
} from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startProxy } from '../support/proxy.js';

let database: TestDatabase;
let url: string;

beforeAll(async () => {
  database = await createTestDatabase();
  url = database.url;
  const { db } = connect({ url });
  await db.execute(sql`create table marks (note text)`);
  await db.execute(sql`create table numbers (n int unique deferrable initially deferred)`);
  await db.execute(sql`create table keys (n int primary key)`);
});
beforeEach(async () => {
  const { db } = connect({ url });
  await db.execute(sql`truncate marks, numbers, keys`);
});
afterAll(() => database.drop());
endEachTest();

const mark = (db: Db, note: string) => db.execute(sql`insert into marks values (${note})`);
const kill = (db: Db, pid: number) => db.execute(sql`select pg_terminate_backend(${pid})`);

async function marks(): Promise<string[]> {
  const rows = await connectPlainly(url)`select note from marks order by note`;
  return rows.map((row) => row.note as string);
}

describe('a transaction whose backend is terminated', () => {
  it('stores no statement and does not affect others', async () => {
    const killer = connect({ url });
    const { db, stats } = connect({ url, max: 1 });
    const others: Promise<string>[] = [];
    const transaction = codeOf(
      db.transaction(async (tx) => {
        await mark(tx, 'before');
        for (let i = 0; i < 5; i++) others.push(codeOf(mark(db, `other ${i}`)));
        await kill(killer.db, await backendOf(tx));
        await sleep(100);
        await mark(tx, 'after').catch(() => {});
        await mark(tx, 'last');
      }),
    );
    expect(await transaction).toBe('database_unavailable');
    expect(new Set(await Promise.all(others))).toEqual(new Set(['none']));
    await sleep(100); // the statements that the transaction still sends
    expect(await marks()).toEqual(['other 0', 'other 1', 'other 2', 'other 3', 'other 4']);
    expect(stats()).toMatchObject({ open: 1, idle: 1 });
  });

  it('fails with its running statements and the statements queued after them', async () => {
    const killer = connect({ url });
    const { db } = connect({ url, max: 2 });
    const codes: string[] = [];
    const transaction = codeOf(
      db.transaction(async (tx) => {
        const pid = await backendOf(tx);
        setTimeout(() => void codeOf(kill(killer.db, pid)), 100);
        const statements = [
          mark(tx, 'first'),
          tx.execute(sql`select pg_sleep(5)`),
          mark(tx, 'behind'),
          tx.transaction((inner) => mark(inner, 'inner')),
        ];
        codes.push(...(await Promise.all(statements.map(codeOf))));
        await mark(tx, 'after');
      }),
    );
    expect(await transaction).toBe('database_unavailable');
    await sleep(20); // the promises of the statements
    expect(codes).toEqual(['none', ...Array<string>(3).fill('database_unavailable')]);
    expect(await marks()).toEqual([]);
  });

  it('fails while it waits for something else, which the plain driver never notices', async () => {
    const killer = connect({ url });
    const { db, stats } = connect({ url, max: 1 });
    const transaction = db.transaction(async (tx) => {
      await mark(tx, 'before');
      await kill(killer.db, await backendOf(tx));
      await new Promise(() => {});
    });
    expect(await codeOf(transaction)).toBe('database_unavailable');
    expect(stats()).toMatchObject({ open: 0, idle: 0 });
    expect(await codeOf(mark(db, 'next'))).toBe('none');
    expect(await marks()).toEqual(['next']);
  });

  it('is rejected when the server terminates it for being idle too long', async () => {
    const { db } = connect({ url, max: 1 });
    const transaction = db.transaction(async (tx) => {
      await tx.execute(sql`set local idle_in_transaction_session_timeout = 50`);
      await mark(tx, 'before');
      await sleep(200);
      await mark(tx, 'after');
    });
    expect(await codeOf(transaction)).toBe('database_unavailable');
    expect(await marks()).toEqual([]);
  });

  it('is stored completely or not at all, at whatever moment the backend is terminated', async () => {
    const killer = connect({ url });
    const { db, stats } = connect({
      url,
      max: 4,
      application_name: 'stormy',
      acquire_timeout_ms: 0,
    });
    let storming = true;
    const storm = (async () => {
      while (storming) {
        await killer.db.execute(sql`
          select pg_terminate_backend(pid) from pg_stat_activity
          where application_name = 'stormy' and datname = current_database()
          order by random() limit 1`);
        await sleep(3);
      }
    })();
    const committed: string[] = [];
    const write = async (note: string) => {
      const code = await codeOf(
        db.transaction(async (tx) => {
          await mark(tx, note);
          await Promise.all([mark(tx, note), tx.transaction((inner) => mark(inner, note))]);
          await mark(tx, note);
        }),
      );
      if (code === 'none') committed.push(note);
      else expect(code).toBe('database_unavailable');
    };
    for (let round = 0; round < 25; round++) {
      await Promise.all(Array.from({ length: 12 }, (_, i) => write(`${round}-${i}`)));
    }
    storming = false;
    await storm;

    const stored = await marks();
    const counts = new Set(stored.map((note) => stored.filter((other) => other === note).length));
    expect(counts).toEqual(new Set([4]));
    expect(stored).toEqual(expect.arrayContaining(committed));
    expect(committed.length).toBeLessThan(300);
    expect(await codeOf(mark(db, 'after the storm'))).toBe('none');
    expect(stats()).toMatchObject({ waiting: 0 });
  });
});

describe('a transaction', () => {
  it('does not commit when the error of a statement was ignored, and reports that error', async () => {
    const { db } = connect({ url });
    const swallow = (then: (tx: Db) => Promise<unknown>) =>
      db.transaction(async (tx) => {
        await mark(tx, 'before');
        await tx.execute(sql`insert into keys values (1), (1)`).catch(() => {});
        await then(tx);
      });
    expect(await codeOf(swallow(async () => {}))).toBe('already_exists');
    expect(await codeOf(swallow((tx) => mark(tx, 'after')))).toBe('already_exists');
    expect(
      await codeOf(db.transaction((tx) => tx.transaction(swallow.bind(null, async () => {})))),
    ).toBe('already_exists');
    expect(await marks()).toEqual([]);
  });

  it('reports the ignored error and not one that a savepoint has undone', async () => {
    const { db } = connect({ url });
    const transaction = db.transaction(async (tx) => {
      await tx
        .transaction((inner) => inner.execute(sql`insert into keys values (1), (1)`))
        .catch(() => {});
      await tx.execute(sql`select 1 / 0`).catch(() => {});
    });
    expect(await codeOf(transaction)).toBe('invalid_value');
  });

  it('continues after an inner transaction was rolled back, and commits the rest', async () => {
    const { db } = connect({ url });
    await db.transaction(async (tx) => {
      await mark(tx, 'outer before');
      const inner = tx.transaction(async (nested) => {
        await mark(nested, 'inner');
        await nested.transaction((innermost) => mark(innermost, 'innermost'));
        await nested.execute(sql`insert into keys values (1), (1)`);
      });
      expect(await codeOf(inner)).toBe('already_exists');
      await tx.transaction((nested) => mark(nested, 'second inner'));
      await mark(tx, 'outer after');
    });
    expect(await marks()).toEqual(['outer after', 'outer before', 'second inner']);
  });

  it('is rejected with the error of its COMMIT, and its connection stays usable', async () => {
    const { db, stats } = connect({ url, max: 1 });
    const transaction = db.transaction((tx) =>
      tx.execute(sql`insert into numbers values (1), (1)`),
    );
    expect(await codeOf(transaction)).toBe('already_exists');
    expect(await codeOf(mark(db, 'next'))).toBe('none');
    expect(stats()).toMatchObject({ open: 1, idle: 1 });
  });

  it('refuses a statement after its end', async () => {
    const { db } = connect({ url });
    let escaped: Db | undefined;
    let late: Promise<string> | undefined;
    const transaction = db.transaction(async (tx) => {
      escaped = tx;
      late = sleep(50).then(() => codeOf(mark(tx, 'late')));
      await Promise.all([mark(tx, 'before'), Promise.reject(new Error('a reason'))]);
    });
    expect(await codeOf(transaction)).toBe('Error: a reason');
    expect(await codeOf(mark(escaped!, 'escaped'))).toBe('conflict');
    expect(await late).toBe('conflict');
    expect(await marks()).toEqual([]);
  });

  it('fails and does not hang when it uses the pool while it holds the last connection', async () => {
    const { db } = connect({ url, max: 1, acquire_timeout_ms: 200 });
    await db.transaction(async (tx) => {
      expect(await codeOf(mark(db, 'outside'))).toBe('pool_exhausted');
      await mark(tx, 'inside');
    });
    expect(await marks()).toEqual(['inside']);
  });

  it('is ended at its time limit, and others can use its connection', async () => {
    const { db } = connect({ url, max: 1, transaction_timeout_ms: 200 });
    for (const waitFor of [
      () => new Promise(() => {}),
      (tx: Db) => tx.execute(sql`select pg_sleep(3)`),
    ]) {
      const began = performance.now();
      const transaction = db.transaction(async (tx) => {
        await mark(tx, 'before');
        await waitFor(tx);
      });
      expect(await codeOf(transaction)).toBe('statement_timeout');
      expect(await codeOf(db.execute(sql`select 1`))).toBe('none');
      expect(performance.now() - began).toBeLessThan(1000);
    }
    expect(await marks()).toEqual([]);
  });

  it.each([
    [`set local statement_timeout = '10s'`, 'select pg_sleep(2)'],
    [`select set_config('statement_timeout', '10s', true)`, 'select pg_sleep(2)'],
    [`set statement_timeout = '10s'`, 'select pg_sleep(2)'],
    [`set local statement_timeout = 0; select pg_sleep(2)`, 'select 1'],
  ])('may run longer with its own statement_timeout: %s', async (set, work) => {
    const { db } = connect({ url, max: 1, statement_timeout_ms: 200 });
    const transaction = db.transaction(async (tx) => {
      await tx.execute(sql.raw(set));
      await tx.execute(sql.raw(work));
    });
    expect(await codeOf(transaction)).toBe('none');
    expect(await db.execute(sql`show statement_timeout`)).toEqual([{ statement_timeout: '200ms' }]);
    expect(await codeOf(db.execute(sql`select pg_sleep(1)`))).toBe('statement_timeout');
  });

  it('with its own statement_timeout abandons a silent server after that time', async () => {
    const proxy = await startProxy(url);
    atEnd(() => proxy.close());
    const { db } = connect({ url: proxy.url, max: 1, statement_timeout_ms: 100 });
    const took = await timeOf(
      db.transaction(async (tx) => {
        await tx.execute(sql`set local statement_timeout = 1000`);
        proxy.freeze();
        await mark(tx, 'never');
      }),
    );
    expect(took).toBeGreaterThan(1700);
    expect(took).toBeLessThan(3000);
  });

  it('has the isolation level that it requested', async () => {
    const { db } = connect({ url });
    const level = (tx: Db) =>
      tx.execute(sql`select current_setting('transaction_isolation') as level`);
    const [row] = await db.transaction(level, { isolationLevel: 'serializable' });
    expect(row).toEqual({ level: 'serializable' });
    expect((await db.transaction(level))[0]).toEqual({ level: 'read committed' });
  });
});
