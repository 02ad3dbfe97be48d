import { createChangesFactory } from '../../src/db/entity/changes.factory.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import type { Project } from '../../src/db/schema.js';
import { aProject } from '../support/builders.js';
import { codeOf, connect, connectPlainly, endEachTest } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeEach(async () => (database = await createTestDatabase()));
afterEach(() => database.drop());

endEachTest();

const NAMES = Array.from({ length: 60 }, (_, n) => `P${n}`);

describe('projects that are created at the same time', () => {
  it('are inserted in few transactions, each with its own values, version and author', async () => {
    const { db } = connect({ url: database.url });
    const { createProject } = createProjectsFactory(db);
    const created = await Promise.all(
      NAMES.map((name) =>
        createProject(aProject({ name, technologies: [name] }), {
          actor: `actor of ${name}`,
          requestId: `request of ${name}`,
        }),
      ),
    );
    expect(created.map(({ name, technologies, version }) => [name, technologies, version])).toEqual(
      NAMES.map((name) => [name, [name], 1]),
    );
    const feed = await createChangesFactory(db, 'project').getFeedPage({ limit: 200 });
    const recorded = feed.changes.map((change) => ({
      ...change,
      name: (change.after as Project).name,
    }));
    const byName = new Map(recorded.map((change) => [change.name, change]));
    for (const project of created) {
      expect(byName.get(project.name)).toMatchObject({
        entityId: project.id,
        action: 'created',
        actor: `actor of ${project.name}`,
        requestId: `request of ${project.name}`,
        after: project,
      });
    }
    expect(byName.size).toBe(NAMES.length);
    const sql = connectPlainly(database.url);
    expect((await sql`select from change_commits`).length).toBeLessThan(NAMES.length / 2);
  });

  it('fail separately when the database refuses one of them', async () => {
    const { db } = connect({ url: database.url });
    const sql = connectPlainly(database.url);
    await sql`alter table projects add constraint not_odd check (name !~ '[13579]$')`;
    const { createProject } = createProjectsFactory(db);
    const outcomes = await Promise.all(
      NAMES.map((name) => codeOf(createProject(aProject({ name })))),
    );
    expect(outcomes).toEqual(NAMES.map((_, n) => (n % 2 ? 'invalid_value' : 'none')));
    const stored = await sql`select name from projects order by substr(name, 2)::integer`;
    expect(stored.map(({ name }) => name as string)).toEqual(NAMES.filter((_, n) => n % 2 === 0));
  });

  it('fail and are not stored twice when the server ends the connection', async () => {
    const { db } = connect({ url: database.url });
    const sql = connectPlainly(database.url);
    await sql.unsafe(`
      create function die() returns trigger language plpgsql as $$
        begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
      create trigger die after insert on project_technologies
        for each row when (new.technology = 'P7') execute function die()`);
    const { createProject } = createProjectsFactory(db);
    const outcomes = await Promise.all(
      NAMES.map((name) => codeOf(createProject(aProject({ name, technologies: [name] })))),
    );
    const accepted = NAMES.filter((_, n) => outcomes[n] === 'none');
    expect(new Set(outcomes)).toEqual(new Set(['none', 'database_unavailable']));
    expect(outcomes[7]).toBe('database_unavailable');
    const stored = await sql`select name from projects order by substr(name, 2)::integer`;
    expect(stored.map(({ name }) => name as string)).toEqual(accepted);
  });

  it('are inserted one by one when an INSERT trigger of a host reads the author', async () => {
    const { db } = connect({ url: database.url });
    const sql = connectPlainly(database.url);
    await sql.unsafe(`
      create function note() returns trigger language plpgsql as $$ begin
        insert into changes (entity, entity_id, version, action, after)
          values ('note', gen_random_uuid(), 1, 'created', to_json(new.name));
        return null; end $$;
      create trigger note after insert on projects for each row execute function note()`);
    const { createProject } = createProjectsFactory(db);
    await Promise.all(NAMES.map((name) => createProject(aProject({ name }), { actor: name })));
    const notes =
      await sql`select after #>> '{}' as name, actor from changes where entity = 'note'`;
    expect(notes).toHaveLength(NAMES.length);
    expect(notes.filter(({ name, actor }) => name !== actor)).toEqual([]);
  });

  it('are inserted one by one in a transaction, so that the refused one is reported with the reason', async () => {
    const { db } = connect({ url: database.url });
    await connectPlainly(database.url)`
      alter table projects add constraint not_odd check (name !~ '[13579]$')`;
    let outcomes: string[] = [];
    const undone = db.transaction(async (tx) => {
      const { createProject } = createProjectsFactory(tx);
      const names = ['P0', 'P2', 'P1'];
      outcomes = await Promise.all(names.map((name) => codeOf(createProject(aProject({ name })))));
    });
    await expect(undone).rejects.toThrow();
    expect(outcomes).toEqual(['none', 'none', 'invalid_value']);
  });

  it('are rolled back with their transaction', async () => {
    const { db } = connect({ url: database.url });
    const undone = db.transaction(async (tx) => {
      const { createProject } = createProjectsFactory(tx);
      await Promise.all(NAMES.slice(0, 5).map((name) => createProject(aProject({ name }))));
      throw new Error('undo');
    });
    await expect(undone).rejects.toThrow('undo');
    expect(await connectPlainly(database.url)`select from projects`).toHaveLength(0);
  });
});
