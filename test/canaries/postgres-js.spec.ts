import net from 'node:net';
import postgres from 'postgres';
import { ProtocolState } from '../../src/db/driver/protocol-state.js';
import { atEnd, connectPlainly, endEachTest, until } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

// The internals of postgres.js that src/db/driver/postgres-js.ts uses. If a test fails, the library has changed and
// the product is not wrong: read that file again before you upgrade.

let database: TestDatabase;
beforeAll(async () => (database = await createTestDatabase()));
afterAll(() => database.drop());
endEachTest();

const FAILING = 'select 1 / (4 - i) from generate_series(1, 10) i';

it('postgres.js continues to count the rows from before an error until a command without rows completes', async () => {
  const sql = connectPlainly(database.url);
  await expect(sql.unsafe(FAILING)).rejects.toThrow('division by zero');
  const rows = await sql.unsafe('select 7 as n');
  expect(rows).toHaveLength(4);
  expect(0 in rows).toBe(false);
  await expect(sql.unsafe(FAILING)).rejects.toThrow('division by zero');
  await sql.unsafe('begin; commit');
  expect(await sql.unsafe('select 7 as n')).toHaveLength(1);
});

it('postgres.js settles a query after earlier listeners got the bytes of its answer', async () => {
  const state = new ProtocolState();
  const { hostname, port } = new URL(database.url);
  const sql = connectPlainly(database.url, {
    socket: () =>
      net.connect(Number(port), hostname).on('data', (bytes: Buffer) => state.read(bytes)),
  });
  for (const [text, open] of [
    ['select 1', false],
    ['begin', true],
    ['select 1', true],
    ['commit', false],
  ] as const) {
    await sql.unsafe(text);
    expect([text, state.inTransaction]).toEqual([text, open]);
  }
});

it('postgres.js asks for a new socket when its connection was lost, and fails when it gets none', async () => {
  let asked = 0;
  let closed = false;
  let socket: net.Socket | undefined;
  const { hostname, port } = new URL(database.url);
  const sql = connectPlainly(database.url, {
    backoff: () => 0,
    fetch_types: false,
    onclose: () => (closed = true),
    socket: () => {
      if (asked++ > 0) throw new Error('no second socket');
      return (socket = net.connect(Number(port), hostname));
    },
  });
  await sql`select 1`;
  socket!.destroy();
  await until(() => closed);
  await expect(sql`select 1`).rejects.toThrow('no second socket');
  expect(asked).toBe(2);
});

it('postgres.js reads parsers and serializers when it uses them, not when a client is created', async () => {
  const sql = connectPlainly(database.url);
  await sql`select 1`;
  sql.options.parsers[23] = () => 'parsed';
  sql.options.serializers = { 16: () => 'false' } as never;
  expect([...(await sql.unsafe('select 1::int as n, $1::bool as f', [true as never]))]).toEqual([
    { n: 'parsed', f: false },
  ]);
});

it('postgres.js separates the results of several statements only at row descriptions', async () => {
  const sql = connectPlainly(database.url);
  const results = (await sql.unsafe('select 1; begin; select 2; commit')) as unknown[];
  expect(results.map((result) => (result as postgres.RowList<[]>).command)).toEqual([
    'BEGIN',
    'COMMIT',
  ]);
});

it('postgres.js sends a statement behind a prepared one at once, and settles both in their order', async () => {
  const sql = connectPlainly(database.url);
  const write = () => sql.unsafe('select $1::int as n', [1], { prepare: true });
  const behind = () => sql.unsafe('select 2 as n', [], { prepare: true, simple: false } as object);
  const orderOf = async () => {
    const settled: string[] = [];
    await Promise.all([
      write().then(() => settled.push('write')),
      behind().then(() => settled.push('behind')),
    ]);
    return settled;
  };
  await write();
  expect(await orderOf()).toEqual(['write', 'behind']);
  const [prepared] = await sql`
    select name from pg_prepared_statements where statement = 'select $1::int as n'`;
  await sql.unsafe(`deallocate "${prepared!.name as string}"`);
  expect(await orderOf()).toEqual(['behind', 'write']); // the driver repeats the write
});

it('postgres.js fails with an error that is not a PostgresError when the driver itself fails', async () => {
  const sql = connectPlainly(database.url);
  const tooMany = sql.unsafe('select 1', Array<string>(70_000).fill('x'));
  await expect(tooMany).rejects.not.toBeInstanceOf(postgres.PostgresError);
  const client = postgres(database.url, {
    max: 1,
    types: { broken: { to: 0, from: [23], serialize: String, parse: () => fail() } },
  });
  atEnd(() => client.end({ timeout: 0 }));
  await expect(client`select 1::int`).rejects.not.toBeInstanceOf(postgres.PostgresError);
});

function fail(): never {
  throw new Error('a parser that fails');
}
