import { jest } from '@jest/globals';
import { sql } from 'drizzle-orm';
import type { Db } from '../../src/db/connection.js';
import { ProtocolState } from '../../src/db/driver/protocol-state.js';
import { Session } from '../../src/db/driver/session.js';
import { controlsTransaction } from '../../src/db/driver/transaction-control.js';
import { backendOf, codeOf, connect, connectPlainly, endEachTest } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let url: string;

beforeAll(async () => {
  database = await createTestDatabase();
  url = database.url;
  const { db } = connect({ url });
  await db.execute(sql`create table marks (note text)`);
});
beforeEach(() => connectPlainly(url)`truncate marks`);
afterEach(() => jest.restoreAllMocks());
afterAll(() => database.drop());
endEachTest();

const run = (db: Db, text: string) => db.execute(sql.raw(text));
const mark = (db: Db, note: string) => db.execute(sql`insert into marks values (${note})`);

async function marks(): Promise<string[]> {
  const rows = await connectPlainly(url)`select note from marks order by note`;
  return rows.map((row) => row.note as string);
}

describe('a statement after one that failed in the middle of its rows', () => {
  const failing = [
    'select 1 / (4 - i) from generate_series(1, 10) i',
    'select 1; select 1 / (4 - i) from generate_series(1, 10) i',
    'select i, case when i = 500 then pg_sleep(5) end from generate_series(1, 500) i',
    `insert into marks select i::text from generate_series(1, 4) i returning 1 / (4 - note::int)`,
  ];

  it.each(failing)('gets only its own answer: %s', async (text) => {
    const { db, stats } = connect({ url, max: 1, statement_timeout_ms: 200 });
    const expected = text.includes('sleep') ? 'statement_timeout' : 'invalid_value';
    const readers: (() => PromiseLike<unknown>)[] = [
      () => run(db, 'select 7 as n'),
      () => db.execute(sql`select ${7}::int as n`),
      () => db.transaction((tx) => run(tx, 'select 7 as n')),
    ];
    for (const read of readers) {
      expect(await codeOf(run(db, text))).toBe(expected);
      const rows = (await read()) as unknown[];
      expect([...rows]).toEqual([{ n: 7 }]);
      expect(rows).toHaveLength(1);
    }
    expect(stats()).toMatchObject({ open: 1, idle: 1 });
  });

  it('gets its own answer inside a transaction, after a savepoint', async () => {
    const { db } = connect({ url, max: 1 });
    const rows = await db.transaction(async (tx) => {
      expect(await codeOf(tx.transaction((inner) => run(inner, failing[0]!)))).toBe(
        'invalid_value',
      );
      return await run(tx, 'select 7 as n');
    });
    expect([...rows]).toEqual([{ n: 7 }]);
  });

  it('closes its session if the answer still has gaps', async () => {
    jest.spyOn(Session.prototype, 'isUnsettled', 'get').mockReturnValue(false);
    const { db, stats } = connect({ url, max: 1 });
    for (const text of ['select 7 as n', 'select 7 as n; select 8 as n', 'explain select 7']) {
      const backend = await backendOf(db);
      expect(await codeOf(run(db, failing[0]!))).toBe('invalid_value');
      expect(await codeOf(run(db, text))).toBe('database_unavailable');
      expect(stats()).toMatchObject({ open: 0 });
      expect(await backendOf(db)).not.toBe(backend);
    }
  });

  it('does not close a session if it returns no rows', async () => {
    const { db } = connect({ url, max: 1 });
    const backend = await backendOf(db);
    for (const text of [
      `insert into marks values ('a'), ('b')`,
      'create table copied as select generate_series(1, 3)',
      'explain select 1; update marks set note = note',
      'select from marks',
      'select 1 where false',
      '',
    ]) {
      expect(await codeOf(run(db, text))).toBe('none');
    }
    expect(await backendOf(db)).toBe(backend);
  });
});

describe('a session with a transaction that its user left open', () => {
  it.each([
    'begin',
    'select 1; start transaction',
    `begin; insert into marks values ('lost')`,
    `begin; insert into marks values ('lost'); savepoint a; rollback to savepoint a`,
  ])('is not used again, and the user gets an error: %s', async (text) => {
    const { db } = connect({ url, max: 1 });
    await expect(run(db, text).execute()).rejects.toMatchObject({
      cause: { message: expect.stringContaining('left a transaction open') },
    });
    expect(await codeOf(mark(db, 'kept'))).toBe('none');
    expect(await marks()).toEqual(['kept']);
  });

  it.each([
    'begin; select 1 / 0',
    `begin; insert into marks values ('lost'); select 1 / 0; commit;`,
  ])('is not used again when the transaction has failed: %s', async (text) => {
    const { db } = connect({ url, max: 1 });
    expect(await codeOf(run(db, text))).toBe('invalid_value');
    expect(await codeOf(mark(db, 'kept'))).toBe('none');
    expect(await marks()).toEqual(['kept']);
  });

  it('is used again when the statement has ended the transaction itself', async () => {
    const { db } = connect({ url, max: 1 });
    const backend = await backendOf(db);
    await run(db, `begin; insert into marks values ('in a script'); commit;`);
    expect(await marks()).toEqual(['in a script']);
    expect(await backendOf(db)).toBe(backend);
  });
});

describe('a statement inside a transaction', () => {
  const insert = `insert into marks values ('escaped')`;

  it.each([
    'commit',
    `commit; ${insert}`,
    `select 1; COMMIT WORK; ${insert}`,
    `/* a comment */ end; ${insert}`,
    `-- a comment\nrollback; ${insert}`,
    `abort; ${insert}`,
    `commit and chain; ${insert}`,
    `rollback and chain; ${insert}`,
    `commit; begin; ${insert}`,
    `begin; ${insert}`,
    `prepare transaction 'p'; ${insert}`,
    `/* /* */ ' */ commit; ${insert}`,
    `/* /* ' */ */ commit; ${insert}`,
    `-- a comment\rcommit; ${insert}`,
    `select $é$ ' $é$; commit; ${insert}`,
    `select 1 as a$$; commit; insert into marks values ('escaped'); select 2 as b$$`,
    `create or replace function one() returns int begin atomic select case 1 when 1 then 1 end; end; commit; ${insert}`,
  ])('cannot end it, and none of its changes are stored: %s', async (text) => {
    const { db } = connect({ url, max: 1 });
    const transaction = db.transaction(async (tx) => {
      await mark(tx, 'before');
      await run(tx, text).catch(() => {});
      await mark(tx, 'after');
    });
    expect(await codeOf(transaction)).toContain('Use db.transaction() to begin and end');
    expect(await marks()).toEqual([]);
    expect(await codeOf(mark(db, 'next'))).toBe('none');
  });

  it('that ends it in a hidden way is detected in the answer, and later statements are refused', async () => {
    const { db } = connect({ url, max: 1 });
    // This text is parsed differently from PostgreSQL's default: the first string ends before the semicolon.
    const hidden = (last: string) => `select '\\''; commit; ${last}; select ''`;
    for (const last of ['select 1', 'select 1 / 0']) {
      const transaction = db.transaction(async (tx) => {
        await run(
          tx,
          'set local standard_conforming_strings = off; set local escape_string_warning = off',
        );
        await run(tx, hidden(last)).catch(() => {});
        await mark(tx, 'after');
      });
      expect(await codeOf(transaction)).toContain('Use db.transaction() to begin and end');
    }
    expect(await marks()).toEqual([]);
  });

  it('may use its own savepoints, and the latest error is reported', async () => {
    const { db } = connect({ url, max: 1 });
    await db.transaction(async (tx) => {
      await run(tx, 'savepoint a');
      expect(await codeOf(run(tx, 'select 1 / 0'))).toBe('invalid_value');
      await run(tx, 'rollback to savepoint a');
      await run(tx, 'savepoint b; rollback work to b; release b');
      await mark(tx, 'kept');
    });
    expect(await marks()).toEqual(['kept']);

    const transaction = db.transaction(async (tx) => {
      await run(tx, 'savepoint a');
      await codeOf(run(tx, 'select 1 / 0'));
      await run(tx, 'rollback to a');
      await codeOf(run(tx, 'select * from nowhere'));
    });
    expect(await codeOf(transaction)).toBe('database_unavailable');
  });

  it('may contain the words COMMIT and ROLLBACK where they have no effect', async () => {
    const { db } = connect({ url, max: 1 });
    await db.transaction(async (tx) => {
      for (const text of [
        `insert into marks values ('; commit; begin')`,
        `insert into marks values (E'it\\'s; commit')`,
        `insert into marks values ('it''s') /* ; commit */ -- ; commit`,
        `select 1 as "; commit"`,
        `do $$ begin perform 1; end $$`,
        `do $body$ begin perform '$$; commit'; end; $body$; select 1`,
        `create function two() returns int begin atomic select 1; select 2; end`,
        `create function three() returns int begin atomic select case when true then 1 end; end; select 1 as a$b`,
        `select 1 /* /* ; commit */ ; commit */`,
        `select case when true then 1 end; select 1 as start`,
      ]) {
        expect([text, await codeOf(run(tx, text))]).toEqual([text, 'none']);
      }
    });
    expect(await marks()).toHaveLength(3);
  });

  it('is checked quickly, even if it is very long', () => {
    const long = `insert into marks values ${`('it''s; commit /* -- $$'), `.repeat(5_000)} ('')`;
    const began = performance.now();
    expect(controlsTransaction(long)).toBe(false);
    expect(controlsTransaction(`${long}; commit`)).toBe(true);
    expect(performance.now() - began).toBeLessThan(500);
  });
});

describe('ProtocolState', () => {
  const message = (type: string, body: string) => {
    const bytes = Buffer.from(`${type}0000${body}`, 'latin1');
    bytes.writeInt32BE(body.length + 4, 1);
    return bytes;
  };
  const long = message('D', 'Z\0\0\0\x05T'.repeat(100));

  it.each([
    [[message('Z', 'I')], false, false],
    [[message('Z', 'T')], true, false],
    [[message('Z', 'E')], true, false],
    [[long, message('C', 'SELECT 1\0'), message('Z', 'I')], false, false],
    [[long, message('E', 'SERROR\0\0'), message('Z', 'I')], false, true],
    [[message('C', 'BEGIN\0'), long, message('E', '\0'), message('Z', 'E')], true, true],
    [[message('Z', 'T'), message('N', 'Z\0\0\0\x05I'), message('2', ''), long], true, true],
  ])(
    'reads messages that are split at any byte (%#)',
    (messages, inTransaction, hasUncountedRows) => {
      const bytes = Buffer.concat(messages);
      for (let size = 1; size <= bytes.length; size++) {
        const state = new ProtocolState();
        for (let at = 0; at < bytes.length; at += size) state.read(bytes.subarray(at, at + size));
        expect(state).toMatchObject({ inTransaction, hasUncountedRows });
      }
    },
  );
});
