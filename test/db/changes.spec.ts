import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { createDatabaseConnection, type DatabaseConnection } from '../../src/db/connection.js';
import type { FeedChange, FeedPosition } from '../../src/db/entity/change-feed.js';
import { setAuditContext } from '../../src/db/entity/author.js';
import { removeExpiredChanges } from '../../src/db/entity/change-expiry.js';
import { type ChangesFactory, createChangesFactory } from '../../src/db/entity/changes.factory.js';
import {
  createProjectsFactory,
  type ProjectsFactory,
} from '../../src/db/factories/projects/projects.factory.js';
import type { Project } from '../../src/db/schema.js';
import { importFile } from '../../src/entities/transfer/file-import.js';
import { PROJECT_FILE } from '../../src/projects/project-file.js';
import { aProject } from '../support/builders.js';
import { codeOf } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let connection: DatabaseConnection;
let projects: ProjectsFactory;
let changes: ChangesFactory;
let sql: postgres.Sql;
beforeEach(async () => {
  database = await createTestDatabase();
  connection = createDatabaseConnection({ url: database.url });
  projects = createProjectsFactory(connection.db);
  changes = createChangesFactory(connection.db, 'project');
  sql = postgres(database.url, { max: 12, onnotice: () => {} });
});
afterEach(async () => {
  await sql.end({ timeout: 1 });
  await connection.close();
  await database.drop();
});

const insert = (name: string, on: postgres.ISql = sql) =>
  on`insert into projects (name, description, technologies) values (${name}, '', '[]')`;

/** Reads the feed from a position to its end, page by page. */
async function readOn(after?: FeedPosition, limit = 50): Promise<FeedChange[]> {
  const found: FeedChange[] = [];
  for (let hasMore = true; hasMore;) {
    const page = await changes.getFeedPage({ after, limit });
    found.push(...page.changes);
    ({ next: after, hasMore } = page);
  }
  return found;
}

async function* lines(...rows: object[]) {
  for (const row of rows) yield Buffer.from(`${JSON.stringify(row)}\n`);
}

const nameOf = ({ before, after }: FeedChange) => ((after ?? before) as Project).name;
const namesOf = (found: FeedChange[]) => found.map(nameOf);

/** Opens a transaction that has written and is not committed yet. */
async function held(work: (tx: postgres.ISql) => Promise<unknown>) {
  const tx = await sql.reserve();
  await tx`begin`;
  await work(tx);
  const end = async (statement: string) => {
    await tx.unsafe(statement);
    tx.release();
  };
  return { commit: () => end('commit'), rollBack: () => end('rollback') };
}

/** Takes a backup of the tables. The returned function restores them, with the sequences. */
async function backup() {
  const kept = ['changes', 'change_commits', 'change_expiry', 'projects'];
  for (const table of kept) await sql.unsafe(`create table backup_${table} as table ${table}`);
  const sequences = ['changes_sequence_seq', 'change_commits_position_seq'];
  const last = await Promise.all(
    sequences.map((name) => sql.unsafe(`select last_value from ${name}`)),
  );
  return async () => {
    for (const table of kept) {
      const columns = (
        await sql`select column_name from information_schema.columns
          where table_name = ${table} and is_generated = 'NEVER' order by ordinal_position`
      ).map(({ column_name }) => `"${column_name}"`);
      await sql.unsafe(`alter table ${table} disable trigger user; delete from ${table};
        insert into ${table} (${columns.join()}) overriding system value
          select ${columns.join()} from backup_${table};
        alter table ${table} enable trigger user`);
    }
    for (const [i, name] of sequences.entries())
      await sql`select setval(${name}, ${last[i]![0]!.last_value})`;
  };
}

describe('the triggers of changes', () => {
  it('write every version of a project, with its author', async () => {
    const by = { actor: 'ada', requestId: 'r-1' };
    const created = await projects.createProject(aProject(), by);
    const updated = await projects.updateProject(created.id, { name: 'Other' }, { by });
    await sql`update projects set description = 'by hand' where id = ${created.id}`;
    const deleted = await projects.deleteProject(created.id, { by });
    const rows = await readOn();
    expect(
      rows.map(({ action, version, actor, requestId }) => [action, version, actor, requestId]),
    ).toEqual([
      ['created', 1, 'ada', 'r-1'],
      ['updated', 2, 'ada', 'r-1'],
      ['updated', 3, '', ''],
      ['deleted', 4, 'ada', 'r-1'],
    ]);
    expect(rows.map(({ before }) => before)).toEqual([null, created, updated, deleted]);
    expect(rows.map(({ after }) => after)).toEqual([created, updated, deleted, null]);
  });

  it('record the author of the transaction for every write without its own author', async () => {
    await connection.db.transaction(async (tx) => {
      const within = createProjectsFactory(tx);
      const created = await within.createProject(aProject({ name: 'nobody' }));
      await setAuditContext(tx, { actor: 'ada', requestId: 'r-1' });
      await within.createProject(aProject({ name: 'context' }));
      await within.updateProject(created.id, { name: 'own' }, { by: { actor: 'eve' } });
      await within.writeProjects([{ op: 'create', project: aProject({ name: 'batch' }) }]);
      await within.writeProjects([{ op: 'create', project: aProject({ name: 'own batch' }) }], {
        actor: 'bob',
        requestId: 'r-2',
      });
      await importFile(tx, PROJECT_FILE, lines({ ...aProject({ name: 'import' }) }), {
        format: 'ndjson',
      });
      await within.putProject(randomUUID(), aProject({ name: 'put' }));
      await setAuditContext(tx, { requestId: 'r-3' });
      await tx.execute(
        `insert into projects (name, description, technologies) values ('raw', '', '[]')`,
      );
      await within.deleteProject(created.id);
    });
    await insert('another transaction');
    const rows = await readOn();
    expect(rows.map((row) => [nameOf(row), row.actor, row.requestId])).toEqual([
      ['nobody', '', ''],
      ['context', 'ada', 'r-1'],
      ['own', 'eve', 'r-1'],
      ['batch', 'ada', 'r-1'],
      ['own batch', 'bob', 'r-2'],
      ['import', 'ada', 'r-1'],
      ['put', 'ada', 'r-1'],
      ['raw', 'ada', 'r-3'],
      ['own', 'ada', 'r-3'],
      ['another transaction', '', ''],
    ]);
  });

  it('record the changes of a psql session: a new id, TRUNCATE, and many rows at once', async () => {
    const [kept, moved] = [randomUUID(), randomUUID()];
    await sql`insert into projects (id, name, description, technologies)
      select id, 'p' || n, '', '[]' from unnest(${[kept, moved]}::uuid[]) with ordinality as given (id, n)`;
    const id = randomUUID();
    await sql`update projects set id = ${id} where id = ${moved}`;
    await sql`truncate projects`;
    const done = (await readOn()).map((change) => [
      change.action,
      change.entityId,
      change.version,
      nameOf(change),
    ]);
    expect(done.slice(0, 4)).toEqual([
      ['created', kept, 1, 'p1'],
      ['created', moved, 1, 'p2'],
      ['deleted', moved, 2, 'p2'],
      ['created', id, 2, 'p2'],
    ]);
    expect(done.slice(4)).toHaveLength(2);
    expect(done.slice(4)).toContainEqual(['deleted', kept, 2, 'p1']);
    expect(done.slice(4)).toContainEqual(['deleted', id, 3, 'p2']);
  });

  it('store nothing when a transaction is rolled back, and delay no reader', async () => {
    const open = await held((tx) => insert('rolled back', tx));
    await insert('before');
    await open.rollBack();
    await sql.begin(async (tx) => {
      await insert('kept', tx);
      await tx
        .savepoint(async (inner) => {
          await insert('rolled back to the savepoint', inner);
          throw new Error('on purpose');
        })
        .catch(() => undefined);
    });
    await insert('after');
    expect(namesOf(await readOn())).toEqual(['before', 'kept', 'after']);
  });
});

describe('the feed', () => {
  it('follows the order of the commits, in whatever order the transactions began', async () => {
    const first = await held((tx) => insert('first to write', tx));
    await sql.begin(async (second) => {
      await insert('second to write, first to commit', second);
      await insert('of the same transaction', second);
    });
    const { changes: page, next } = await changes.getFeedPage();
    expect(namesOf(page)).toEqual(['second to write, first to commit', 'of the same transaction']);
    expect((await changes.getFeedPage({ after: next })).changes).toEqual([]);
    await first.commit();
    expect(namesOf(await readOn(next))).toEqual(['first to write']);
    expect(namesOf(await readOn(undefined, 1))).toEqual([
      'second to write, first to commit',
      'of the same transaction',
      'first to write',
    ]);
  });

  it('gives each change once to a reader with pages of one while eight writers commit out of order', async () => {
    // This trigger runs after the one that assigns the position, so that COMMITs are slow.
    await sql.unsafe(`
      create function dawdle() returns trigger language plpgsql as $$
        begin perform pg_sleep(random() * 0.02); return null; end $$;
      create constraint trigger zz_dawdle after insert on changes deferrable initially deferred
        for each row when (new.sequence = new.change_set) execute function dawdle()`);
    const own = await Promise.all(
      Array.from({ length: 8 }, () => projects.createProject(aProject())),
    );
    let writing = true;
    const writers = own.map(async ({ id }, writer) => {
      for (let round = 0; round < 25; round++) {
        await sql
          .begin(async (tx) => {
            await tx`update projects set description = ${String(round)} where id = ${id}`;
            await sleep(Math.random() * 6);
            await insert(`of ${writer} in ${round}`, tx);
            if (round % 5 === 4) throw new Error('rolled back');
          })
          .catch(() => undefined);
      }
    });
    const written = Promise.all(writers).then(() => (writing = false));
    const read: FeedChange[] = [];
    for (let after: FeedPosition | undefined, more = true; writing || more;) {
      const page = await changes.getFeedPage({ after, limit: 1 });
      read.push(...page.changes);
      ({ next: after, hasMore: more } = page);
    }
    await written;

    const all = await sql`select sequence from change_commits join changes using (change_set)
      order by position, sequence`;
    expect(read.map(({ sequence }) => sequence)).toEqual(
      all.map(({ sequence }) => Number(sequence)),
    );
    expect(read).toHaveLength(8 + 8 * 20 * 2);
    for (const { id } of own) {
      const versions = read.filter(({ entityId }) => entityId === id).map(({ version }) => version);
      expect(versions).toEqual(Array.from({ length: 21 }, (_, i) => i + 1));
    }
  });

  it.each([
    ['with the first positions', 1],
    ['when the names of positions start again at zero', 2 ** 32 - 3],
    ['when the names of positions become negative', 2 ** 31 - 3],
  ])('skips no slow transaction, and no writer waits for a reader: %s', async (_, from) => {
    await sql.unsafe(`alter sequence change_commits_position_seq restart with ${from}`);
    await insert('before');
    // From here on the transaction has its position, as if its COMMIT took long.
    const slow = await held(async (tx) => {
      await insert('slow', tx);
      await tx`set constraints all immediate`;
    });
    const began = performance.now();
    const reading = changes.getFeedPage();
    await Promise.all(Array.from({ length: 8 }, (_entry, i) => insert(`behind ${i}`)));
    const writesTookMs = performance.now() - began;
    const { changes: page, next } = await reading;
    expect(namesOf(page)).toEqual(['before']);
    expect(namesOf((await changes.getFeedPage({ after: next })).changes)).toEqual([]);
    expect(await changes.getFeedEnd()).toMatchObject({ position: from + 1, sequence: 0 });
    await slow.commit();
    const rest = namesOf(await readOn(next, 1));
    expect(rest[0]).toBe('slow');
    expect(rest.slice(1).sort()).toEqual(Array.from({ length: 8 }, (_entry, i) => `behind ${i}`));
    expect(writesTookMs).toBeLessThan(1000);
  });

  it('does not wait for the position of a transaction that failed in its COMMIT', async () => {
    await sql.unsafe(`
      create function fail() returns trigger language plpgsql as $$ begin raise 'on purpose'; end $$;
      create constraint trigger zz_fail after insert on changes deferrable initially deferred
        for each row when (new.actor = 'unlucky') execute function fail()`);
    await insert('before');
    await sql
      .begin(async (tx) => {
        await tx`select set_audit_context('unlucky', '')`;
        await insert('failed', tx);
      })
      .catch(() => undefined);
    await insert('after');
    expect(await positions()).toEqual([1, 3]);
    expect(namesOf(await readOn(undefined, 1))).toEqual(['before', 'after']);
  });

  it('continues from its end with future changes', async () => {
    await insert('before');
    const end = await changes.getFeedEnd();
    const nothing = await changes.getFeedPage({ after: end });
    expect(nothing).toEqual({ changes: [], next: end, hasMore: false });
    await insert('after');
    expect(namesOf(await readOn(nothing.next))).toEqual(['after']);
  });

  it('waits at its end for a transaction that commits late with an earlier position', async () => {
    for (const name of ['one', 'two']) await insert(name);
    const end = await changes.getFeedEnd();
    // This does the same as changes_take_position: it has read the last position and was then suspended.
    const late = await held(
      (tx) => tx`select pg_advisory_xact_lock_shared(hashtext('changes'), 0)`,
    );
    expect((await changes.getFeedEnd()).position).toBeLessThan(end.position);
    await insert('three');
    expect(await changes.getFeedPage({ after: end })).toEqual({
      changes: [],
      next: end,
      hasMore: false,
    });
    await late.rollBack();
    expect(namesOf(await readOn(end))).toEqual(['three']);
  });

  it.each([0, 1, 2, 4])(
    'refuses a cursor of a history that a restore has replaced, after %i new commits',
    async (commits) => {
      for (const name of ['1', '2', '3']) await insert(name);
      const third = (await changes.getFeedPage()).changes.at(-1)!;
      const restored = await backup();
      for (const name of ['lost 4', 'lost 5']) await insert(name);
      const { changes: read, next } = await changes.getFeedPage();
      const end = await changes.getFeedEnd();
      await restored();
      const after = Array.from({ length: commits }, (_, i) => `new ${i + 4}`);
      for (const name of after) await insert(name);
      // Three readers have seen the lost changes, and one has not.
      for (const lost of [read.at(-1)!, next, end])
        expect(await codeOf(changes.getFeedPage({ after: lost }))).toBe('cursor_expired');
      expect(namesOf(await readOn(third))).toEqual(after);
    },
  );

  it('continues after a restore from a cursor in the restored history, also inside a transaction', async () => {
    await sql`insert into projects (name, description, technologies)
      select n, '', '[]' from generate_series(1, 4) as n`;
    const [first] = (await changes.getFeedPage({ limit: 1 })).changes;
    const restored = await backup();
    await insert('lost');
    await restored();
    await insert('new');
    expect(namesOf(await readOn(first))).toEqual(['2', '3', '4', 'new']);
  });
});

const positions = async () =>
  (await sql`select position from change_commits order by position`).map((row) =>
    Number(row.position),
  );

/** Removes all older changes in batches of the given size; resolves with the number of rows in each batch. */
async function expire(days: number, most: number): Promise<number[]> {
  const steps: number[] = [];
  for (let rows; (rows = await removeExpiredChanges(connection.db, days, most)) > 0;)
    steps.push(rows);
  return steps;
}

const age = (name: string, days: number) => sql`update change_commits
  set at = now() - ${days} * interval '1 day'
  where change_set in (select change_set from changes where after ->> 'name' = ${name})`;

describe('the retention of changes', () => {
  it('removes older changes in batches and in order, and no newer changes', async () => {
    await sql`insert into projects (name, description, technologies)
      select 'old', '', '[]' from generate_series(1, 25)`;
    await insert('also old');
    await insert('new');
    await insert('old, behind a new one');
    await age('old', 31);
    await age('also old', 31);
    await age('old, behind a new one', 31);
    await age('new', 29);
    const steps = await expire(30, 10);
    expect(Math.max(...steps)).toBeLessThanOrEqual(10);
    expect(namesOf(await readOn())).toEqual(['new', 'old, behind a new one']);
    expect(await positions()).toEqual([3, 4]);
    expect((await sql`select from changes`).length).toBe(2);
    expect(await expire(30, 10)).toEqual([]);
  });

  it('refuses only a reader that has not seen removed changes, from the first step on', async () => {
    await sql`insert into projects (name, description, technologies)
      select 'old', '', '[]' from generate_series(1, 3)`;
    await insert('new');
    await age('old', 31);
    const { changes: read } = await changes.getFeedPage();
    await removeExpiredChanges(connection.db, 30);
    expect((await sql`select from changes`).length).toBe(4);
    expect(await codeOf(changes.getFeedPage({ after: read[0] }))).toBe('cursor_expired');
    expect(await codeOf(changes.getFeedPage({ after: read[1] }))).toBe('cursor_expired');
    expect(namesOf(await readOn(read[2]))).toEqual(['new']);
    expect(namesOf(await readOn())).toEqual(['new']);
    await expire(30, 1);
    expect(await codeOf(changes.getFeedPage({ after: read[1] }))).toBe('cursor_expired');
    expect(namesOf(await readOn(read[2]))).toEqual(['new']);
  });

  it('continues after a commit whose changes were removed by hand, and refuses no reader for it', async () => {
    for (const name of ['erased', 'new']) await insert(name);
    await age('erased', 31);
    const { changes: read } = await changes.getFeedPage();
    await sql`delete from changes where after ->> 'name' = 'erased'`;
    await expire(30, 10);
    expect(await positions()).toEqual([2]);
    expect(namesOf(await readOn(read[0]))).toEqual(['new']);
  });

  it('keeps the changes that a long transaction commits today', async () => {
    const { id } = await projects.createProject(aProject());
    await sql`update change_commits set at = now() - interval '31 days'`;
    const open = await held((tx) => tx`update projects set name = 'late' where id = ${id}`);
    await sql`update changes set at = at - interval '31 days'`;
    await expire(30, 10);
    await open.commit();
    await expire(30, 10);
    expect(namesOf(await readOn())).toEqual(['late']);
  });
});

describe('the history', () => {
  it('contains the changes of one project, the latest first, page by page, while changes are added', async () => {
    const { id } = await projects.createProject(aProject());
    const other = await projects.createProject(aProject());
    for (const name of ['two', 'three', 'four']) {
      await projects.updateProject(id, { name });
      await projects.updateProject(other.id, { name });
    }
    const first = await changes.getHistory(id, { limit: 2 });
    await projects.deleteProject(id);
    const second = await changes.getHistory(id, { limit: 2, before: first.next });
    expect(first.changes.concat(second.changes).map(({ version }) => version)).toEqual([
      4, 3, 2, 1,
    ]);
    expect(second.next).toBeUndefined();
    const all = await changes.getHistory(id);
    expect(all.changes.map(({ action }) => action)).toEqual([
      'deleted',
      'updated',
      'updated',
      'updated',
      'created',
    ]);
    expect(await changes.getHistory(randomUUID())).toEqual({ changes: [], next: undefined });
  });
});
