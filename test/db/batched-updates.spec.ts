import { sql as SQL } from 'drizzle-orm';
import { integer, pgTable, text, uuid } from 'drizzle-orm/pg-core';
import { createTimestamps } from '../../src/db/schema.js';
import { TEXT } from '../../src/db/entity/column-kinds.js';
import { createChangesFactory } from '../../src/db/entity/changes.factory.js';
import { createEntityFactory } from '../../src/db/entity/entity.factory.js';
import { defineEntity } from '../../src/db/entity/entity.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import type { Project } from '../../src/db/schema.js';
import { aProject } from '../support/builders.js';
import { codeOf, connect, connectPlainly, endEachTest } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeEach(async () => (database = await createTestDatabase()));
afterEach(() => database.drop());

endEachTest();

/** A table with a nullable column that has an SQL default. */
const notes = pgTable('notes', {
  id: uuid('id').primaryKey().defaultRandom(),
  title: text('title').notNull(),
  owner: text('owner').default(SQL`upper('nobody')`),
  ...createTimestamps(),
  version: integer('version').notNull().default(1),
});
const NOTE = defineEntity({
  name: 'note',
  table: notes,
  written: ['title', 'owner'],
  kinds: { owner: TEXT },
  updateTriggers: [],
});

const COUNT = 60;
const NUMBERS = Array.from({ length: COUNT }, (_, n) => n);
const authorOf = (n: number) => ({ actor: `actor ${n}`, requestId: `request ${n}` });

/** Returns a factory, its plain client, and existing projects. */
async function makeProjects({ prepare = true } = {}) {
  // The limits are long, so that a slow machine does not turn a wait for a lock into an error.
  const limits = { statement_timeout_ms: 60_000, acquire_timeout_ms: 60_000 };
  const { db } = connect({ url: database.url, prepare, ...limits });
  const projects = createProjectsFactory(db);
  const existing = await Promise.all(
    NUMBERS.map((n) => projects.createProject(aProject({ name: `P${n}`, technologies: ['C'] }))),
  );
  return { db, projects, existing, sql: connectPlainly(database.url) };
}

async function commitsOf(sql: ReturnType<typeof connectPlainly>): Promise<number> {
  return (await sql`select from change_commits`).length;
}

describe('projects that are changed at the same time', () => {
  it.each([
    ['update', true],
    ['put', true],
    ['put', false],
  ] as const)(
    'are written in few transactions, each with its own values, version and author: %s, prepared %s',
    async (write, prepare) => {
      const { db, projects, existing, sql } = await makeProjects({ prepare });
      const before = await commitsOf(sql);
      const valuesOf = (n: number) => ({
        name: `"{N,${n}}"\\`,
        description: n === 0 ? '' : `D${n}`,
        technologies: [`T${n}`, 'a "b", {c}'],
      });
      const written = await Promise.all(
        existing.map(async ({ id }, n) => {
          if (write === 'update')
            return await projects.updateProject(id, valuesOf(n), { by: authorOf(n) });
          const put = await projects.putProject(id, valuesOf(n), { by: authorOf(n) });
          expect(put.created).toBe(false);
          return put.project;
        }),
      );
      for (const [n, row] of written.entries())
        expect(row).toMatchObject({ id: existing[n]!.id, version: 2, ...valuesOf(n) });
      expect((await commitsOf(sql)) - before).toBeLessThan(COUNT / 2);
      const feed = await createChangesFactory(db, 'project').getFeedPage({ limit: 200 });
      const updates = feed.changes.filter(({ action }) => action === 'updated');
      const byId = new Map(updates.map((change) => [change.entityId, change]));
      expect(updates).toHaveLength(COUNT);
      for (const [n, row] of written.entries())
        expect(byId.get(row.id)).toMatchObject({ ...authorOf(n), before: existing[n], after: row });
    },
  );

  it('have separate conditions: one with another version and a missing one are reported', async () => {
    const { projects, existing } = await makeProjects();
    const missing = '00000000-0000-4000-8000-000000000000';
    const outcomes = await Promise.all(
      existing.map(({ id }, n) =>
        codeOf(
          projects.updateProject(
            n === 7 ? missing : id,
            { description: `D${n}` },
            { versions: [n % 2 ? 1 : 5] },
          ),
        ),
      ),
    );
    const expected: string[] = NUMBERS.map((n) => (n % 2 ? 'none' : 'version_mismatch'));
    expected[7] = 'not_found';
    expect(outcomes).toEqual(expected);
  });

  it('are written one after the other if they are the same project', async () => {
    const { projects, existing } = await makeProjects();
    const [{ id }] = existing as [Project];
    const written = await Promise.all(
      NUMBERS.map((n) => projects.updateProject(id, { description: `D${n}` })),
    );
    expect(written.map(({ version }) => version).sort((a, b) => a - b)).toEqual(
      NUMBERS.map((n) => n + 2),
    );
    expect(new Set(written.map(({ description }) => description)).size).toBe(COUNT);
  });

  it('are created once if a put does not find them', async () => {
    const { projects, existing } = await makeProjects();
    const idOf = (n: number) =>
      n % 2 ? existing[n]!.id : `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
    const written = await Promise.all(
      NUMBERS.map((n) => projects.putProject(idOf(n), aProject({ name: `N${n}` }))),
    );
    expect(written.map(({ created }) => created)).toEqual(NUMBERS.map((n) => n % 2 === 0));
    expect(written.map(({ project }) => [project.id, project.name, project.version])).toEqual(
      NUMBERS.map((n) => [idOf(n), `N${n}`, n % 2 ? 2 : 1]),
    );
  });

  it('do not wait when another transaction has locked one of them', async () => {
    const { projects, existing, sql } = await makeProjects();
    await sql.unsafe('begin');
    await sql`select from projects where id = ${existing[3]!.id} for update`;
    let lockedIsWritten = false;
    const writes = existing.map(({ id }, n) =>
      projects.updateProject(id, { description: `D${n}` }).then(({ version }) => {
        if (n === 3) lockedIsWritten = true;
        return version;
      }),
    );
    await Promise.all(writes.filter((_, n) => n !== 3));
    expect(lockedIsWritten).toBe(false);
    await sql.unsafe('commit');
    expect(await writes[3]).toBe(2);
  });

  it('fail separately when the database refuses one of them', async () => {
    const { projects, existing, sql } = await makeProjects();
    await sql`alter table projects add constraint not_odd check (description !~ '[13579]$')`;
    const outcomes = await Promise.all(
      existing.map(({ id }, n) => codeOf(projects.updateProject(id, { description: `D${n}` }))),
    );
    expect(outcomes).toEqual(NUMBERS.map((n) => (n % 2 ? 'invalid_value' : 'none')));
  });

  it('are written one by one in a transaction, so that the refused one is reported with the reason', async () => {
    const { db, existing, sql } = await makeProjects();
    await sql`alter table projects add constraint not_odd check (description !~ '[13579]$')`;
    let outcomes: string[] = [];
    const undone = db.transaction(async (tx) => {
      const { updateProject } = createProjectsFactory(tx);
      const updates = [0, 2, 1].map((n) =>
        updateProject(existing[n]!.id, { description: `D${n}` }),
      );
      outcomes = await Promise.all(updates.map(codeOf));
    });
    await expect(undone).rejects.toThrow();
    expect(outcomes).toEqual(['none', 'none', 'invalid_value']);
  });

  it('are written one by one when an UPDATE trigger of a host reads the author', async () => {
    const { projects, existing, sql } = await makeProjects();
    await sql.unsafe(`
      create function note() returns trigger language plpgsql as $$ begin
        insert into changes (entity, entity_id, version, action, after)
          values ('note', gen_random_uuid(), 1, 'created', to_json(new.description));
        return null; end $$;
      create trigger note after update on projects for each row execute function note()`);
    await Promise.all(
      existing.map(({ id }, n) =>
        projects.updateProject(id, { description: `${n}` }, { by: { actor: `${n}` } }),
      ),
    );
    const notes =
      await sql`select after #>> '{}' as text, actor from changes where entity = 'note'`;
    expect(notes).toHaveLength(COUNT);
    expect(notes.filter(({ text, actor }) => text !== actor)).toEqual([]);
  });
});

describe('a nullable column with an SQL default, in rows that are changed at the same time', () => {
  it.each([
    ['is null if an update sets it to null', 'update', null],
    ['has its default if a put leaves it out', 'put', 'NOBODY'],
  ] as const)('%s', async (_name, write, expected) => {
    const plain = connectPlainly(database.url);
    await plain.unsafe(`
      create table notes (id uuid primary key default gen_random_uuid(), title text not null, owner text,
        created_at timestamptz(3) not null default now(), updated_at timestamptz(3) not null default now(),
        version integer not null default 1);
      select track_changes('notes', 'note');`);
    const rows = createEntityFactory(connect({ url: database.url }).db, NOTE);
    const created = await Promise.all(
      NUMBERS.map((n) => rows.create({ title: `T${n}`, owner: 'me' })),
    );
    const before = await commitsOf(plain);
    const owners = await Promise.all(
      created.map(async ({ id }) =>
        write === 'update'
          ? (await rows.update(id, { owner: null })).owner
          : (await rows.put(id, { title: 'T' })).row.owner,
      ),
    );
    expect(owners).toEqual(NUMBERS.map(() => expected));
    expect((await commitsOf(plain)) - before).toBeLessThan(COUNT / 2);
  });
});
