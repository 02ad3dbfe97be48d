import { sql } from 'drizzle-orm';
import {
  type Db,
  notingPositions,
  type TDatabaseConfig,
  wantPositions,
} from '../../src/db/connection.js';
import { notedPosition } from '../../src/db/query/noted-positions.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { createReplicas } from '../../src/db/replicas/replicas.js';
import { endOfLastRecord, formatPosition, positionOf } from '../../src/db/replicas/wal-position.js';
import { inTransaction } from '../../src/db/transaction.js';
import { aProject } from '../support/builders.js';
import { atEnd, codeOf, connect, connectPlainly, endEachTest } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { startProxy } from '../support/proxy.js';

let database: TestDatabase;
beforeEach(async () => (database = await createTestDatabase()));
afterEach(() => database.drop());
endEachTest();

/** The product on one connection, with replicas wanted, and a proxy in front of it. */
async function openOnProxy(settings: Partial<TDatabaseConfig> = {}) {
  const proxy = await startProxy(database.url);
  atEnd(() => proxy.close());
  const { db } = connect({ url: proxy.url, max: 1, ...settings });
  const replicas = createReplicas(db, []);
  atEnd(() => replicas.close());
  const projects = createProjectsFactory(db);
  await projects.createProject(aProject()); // prepares the statement
  return { proxy, db, replicas, projects };
}

async function namesOf(name: string): Promise<number> {
  const [row] = await connectPlainly(database.url)`
    select count(*)::int as n from projects where name = ${name}`;
  return row!.n as number;
}

async function endOfWal(): Promise<string> {
  const [row] = await connectPlainly(database.url)`select pg_current_wal_insert_lsn()::text as lsn`;
  return row!.lsn as string;
}

async function isBefore(lsn: string, other: string): Promise<boolean> {
  const [row] = await connectPlainly(database.url)`
    select ${lsn}::text::pg_lsn < ${other}::text::pg_lsn as before`;
  return row!.before as boolean;
}

/** Each commit of a change notes, as the last thing before its commit record, where the log ends. */
async function noteCommits(): Promise<() => Promise<string>> {
  const plain = connectPlainly(database.url);
  await plain.unsafe(`
    create table ends (lsn pg_lsn not null);
    create function note_end() returns trigger language plpgsql as $$ begin
      perform pg_logical_emit_message(true, 'test', repeat('x', 10000));
      insert into ends values (pg_current_wal_insert_lsn());
      return null;
    end $$;
    create constraint trigger zz_note_end after insert on changes
      deferrable initially deferred for each row execute function note_end();`);
  return async () => {
    const [row] = await plain`
      with noted as (delete from ends returning lsn) select max(lsn)::text as lsn from noted`;
    return row!.lsn as string;
  };
}

it('notes a position behind the commit of each kind of write', async () => {
  const { db, projects } = await openOnProxy();
  const lastCommit = await noteCommits();
  const { id } = await projects.createProject(aProject());
  const versions = { notVersions: [99] };
  const writes: Record<string, () => Promise<object>> = {
    create: () => projects.createProject(aProject()),
    put: async () => (await projects.putProject(id, aProject())).project,
    'put with a condition': async () =>
      (await projects.putProject(id, aProject(), versions)).project,
    'put of a new row': async () =>
      (await projects.putProject(crypto.randomUUID(), aProject())).project,
    patch: () => projects.updateProject(id, { name: 'patched' }),
    transaction: () =>
      inTransaction(notingPositions(db), (tx) =>
        createProjectsFactory(tx).createProject(aProject()),
      ),
    delete: async () => {
      const { id } = await projects.createProject(aProject());
      return await projects.deleteProject(id);
    },
  };
  for (const [name, write] of Object.entries(writes)) {
    await write(); // the first use of a statement prepares it
    await lastCommit();
    const noted = notedPosition(await write());
    expect([name, noted]).toEqual([name, expect.objectContaining({ timeline: '00000001' })]);
    expect([name, await isBefore(await lastCommit(), noted!.lsn)]).toEqual([name, true]);
    expect([name, await isBefore(await endOfWal(), noted!.lsn)]).toEqual([name, false]);
  }
});

it('notes the same position for all rows of one statement', async () => {
  const { projects } = await openOnProxy();
  const lastCommit = await noteCommits();
  const ids = (await createMany()).map(({ id }) => id);
  const together: (() => Promise<object[]>)[] = [
    createMany,
    () => Promise.all(ids.map((id) => projects.updateProject(id, { name: 'patched' }))),
    () => Promise.all(ids.map(async (id) => (await projects.putProject(id, aProject())).project)),
  ];
  for (const write of together) {
    await write();
    await lastCommit();
    const noted = (await write()).map(notedPosition);
    expect(new Set(noted).size).toBeLessThan(noted.length / 2);
    expect(noted).not.toContain(undefined);
    const [first] = noted.sort((a, b) => (positionOf(a!).lsn < positionOf(b!).lsn ? 1 : -1));
    expect(await isBefore(await lastCommit(), first!.lsn)).toBe(true);
  }

  function createMany() {
    return Promise.all(Array.from({ length: 16 }, () => projects.createProject(aProject())));
  }
});

it('costs a write no round trip, and nothing where no position is wanted', async () => {
  const { proxy, replicas, db, projects } = await openOnProxy();
  await replicas.close(); // its checks go through the proxy too
  wantPositions(db, true);
  await projects.createProject(aProject());
  const before = proxy.roundTrips();
  expect(notedPosition(await projects.createProject(aProject()))).toBeDefined();
  expect(proxy.roundTrips()).toBe(before + 1);
  wantPositions(db, false);
  expect(notedPosition(await projects.createProject(aProject()))).toBeUndefined();
  const reading = await projects.createProject(aProject());
  wantPositions(db, true);
  expect(notedPosition(await projects.getProject(reading.id))).toBeUndefined();
});

it('is the token of its write, which a later write does not change', async () => {
  const { replicas, projects } = await openOnProxy();
  const row = await projects.createProject(aProject());
  await projects.createProject(aProject());
  const noted = notedPosition(row)!;
  const { lsn } = noted;
  expect(await replicas.written(undefined, row)).toBe(formatPosition(endOfLastRecord(noted)));
  expect(await isBefore(lsn, lsnOf(await replicas.written()))).toBe(true);
  expect(await isBefore(lsn, lsnOf(await replicas.written({ ...row })))).toBe(true);
});

describe('a connection that ends between the answer of a write and its position', () => {
  it.each(['cut behind a statement', 'commit'])('%s: the write is answered once', async (text) => {
    const { proxy, replicas, db, projects } = await openOnProxy();
    const name = 'cut behind a statement';
    const write = () =>
      text === 'commit'
        ? inTransaction(notingPositions(db), (tx) =>
            createProjectsFactory(tx).createProject(aProject({ name })),
          )
        : projects.createProject(aProject({ name }));
    proxy.cutBehind(text, 'end');
    const row = await write();
    expect(row).toMatchObject({ name, version: 1 });
    expect(notedPosition(row)).toBeUndefined();
    expect(await namesOf(name)).toBe(1);
    const before = await endOfWal();
    expect(await isBefore(lsnOf(await replicas.written(row)), before)).toBe(false);
    await write(); // a new connection prepares its statements
    expect(notedPosition(await write())).toBeDefined();
  });

  it('is silent: the write is answered, and its reads run on the primary', async () => {
    const { proxy, replicas, projects } = await openOnProxy({ statement_timeout_ms: 2000 });
    const name = 'silent from here';
    proxy.cutBehind(name, 'stall');
    const row = await projects.createProject(aProject({ name }));
    expect(await replicas.written(row)).toBe('FFFFFFFF-FFFFFFFF/FFFFFFFF');
    expect(await namesOf(name)).toBe(1);
  });
});

it('a position that cannot be read does not fail its write', async () => {
  const { db, projects } = await openOnProxy();
  const plain = connectPlainly(database.url);
  await plain.unsafe('alter function pg_catalog.pg_walfile_name(pg_lsn) rename to hidden');
  const name = 'without a position';
  const row = await projects.createProject(aProject({ name }));
  expect(notedPosition(row)).toBeUndefined();
  expect(await namesOf(name)).toBe(1);
  const failing = projects.putProject(row.id, aProject(), { notVersions: [1] });
  expect(await codeOf(failing)).toBe('version_mismatch');
  expect(await answersOn(db)).toBe(7);
  await plain.unsafe('alter function pg_catalog.hidden(pg_lsn) rename to pg_walfile_name');
  expect(notedPosition(await projects.createProject(aProject()))).toBeDefined();
});

it('a write that the driver repeats behind its position has none', async () => {
  const { db, projects } = await openOnProxy();
  const prepared = await db.execute<{ name: string }>(
    sql`select name from pg_prepared_statements where statement like 'insert into "projects"%'`,
  );
  expect(prepared).toHaveLength(1);
  await db.execute(sql.raw(`deallocate "${prepared[0]!.name}"`));
  const name = 'repeated by the driver';
  const row = await projects.createProject(aProject({ name }));
  expect(notedPosition(row)).toBeUndefined();
  expect(await namesOf(name)).toBe(1);
  expect(await answersOn(db)).toBe(7);
  expect(notedPosition(await projects.createProject(aProject()))).toBeDefined();
});

async function answersOn(db: Db): Promise<number> {
  const [row] = await db.execute<{ n: number }>(sql`select ${7}::int as n`);
  return row!.n;
}

function lsnOf(token: string): string {
  return token.split('-')[1]!;
}
