import { randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { createDatabaseConnection, type DatabaseConnection } from '../../src/db/connection.js';
import { createChangesFactory } from '../../src/db/entity/changes.factory.js';
import type { ProjectOperation } from '../../src/db/factories/projects/project-batch.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { inTransaction } from '../../src/db/transaction.js';
import { aProject } from '../support/builders.js';
import { built } from '../support/built.js';
import { codeOf, sleep } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let connection: DatabaseConnection;
beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDatabaseConnection({ url: database.url });
});
afterAll(async () => {
  await connection.close();
  await database.drop();
});

describe('createProjectsFactory', () => {
  it('accepts an open transaction, whose rollback removes what the factory wrote', async () => {
    const { db } = connection;
    const before = await createProjectsFactory(db).getAllProjects(1000);
    const failing = inTransaction(db, async (tx) => {
      const inside = createProjectsFactory(tx);
      await inside.createProject(aProject());
      expect(await inside.getAllProjects(1000)).toHaveLength(before.length + 1);
      throw new Error('changed my mind');
    });
    await expect(failing).rejects.toThrow('changed my mind');
    expect(await createProjectsFactory(db).getAllProjects(1000)).toEqual(before);
  });

  it('lists 50 projects by default, the newest first', async () => {
    const projects = createProjectsFactory(connection.db);
    for (let i = 0; i < 52; i++) await projects.createProject(aProject({ name: `n${i}` }));
    const newest = await projects.getAllProjects();
    expect(newest).toHaveLength(50);
    expect(newest.map(({ createdAt }) => createdAt)).toEqual(
      newest
        .map(({ createdAt }) => createdAt)
        .sort()
        .reverse(),
    );
    expect(await projects.getAllProjects(3)).toEqual(newest.slice(0, 3));
  });

  it('lists the same values that single reads return, for any text', async () => {
    const projects = createProjectsFactory(connection.db);
    const technologies = ['C++', 'a "quoted" \\ one', '{}', 'x, y', 'Ünïcode 🚀', '\u2028'];
    const values = { name: 'a,b "c" \\ \n\t 🚀', description: '\r\n,,"\u2028', technologies };
    await projects.createProject(aProject());
    await sleep(2); // a later millisecond, so that the other project is not among those created since
    const created = await projects.createProject(values);
    const page = await projects.listProjects({ limit: 1 });
    expect(created).toMatchObject(values);
    expect(page.projects).toEqual([created]);
    expect(JSON.parse(page.json)).toEqual([created]);
    expect(await projects.getProject(created.id)).toEqual(created);
    const some = await projects.listProjects({ limit: 1, fields: ['version', 'name'] });
    expect(some.json).toBe(JSON.stringify([{ version: 1, name: values.name }]));
    expect(some.next).toEqual({ key: created.createdAt, id: created.id });
    await projects.createProject({ ...values, name: `${values.name} z` });
    const since = { createdFrom: new Date(created.createdAt), limit: 1 };
    const byName = await projects.listProjects({ ...since, sortBy: 'name', descending: false });
    expect(byName.next).toEqual({ key: values.name, id: created.id });
  });

  it('refuses a limit of zero, and a search with excluded words only', async () => {
    const { listProjects } = createProjectsFactory(connection.db);
    for (const query of [{ limit: 0 }, { limit: -1 }, { limit: 1.5 }, { limit: NaN }, { q: '-a' }])
      await expect(listProjects(query)).rejects.toMatchObject({ code: 'invalid_value' });
  });

  it('refuses an invalid id without affecting concurrent reads', async () => {
    const projects = createProjectsFactory(connection.db);
    const { id } = await projects.createProject(aProject());
    const reads = [projects.getProject('none'), projects.getProject(id.toUpperCase())];
    expect(await Promise.allSettled(reads)).toMatchObject([
      { status: 'rejected', reason: { code: 'invalid_value' } },
      { status: 'fulfilled', value: { id } },
    ]);
  });

  it('accepts upper-case ids in every function, and refuses other values', async () => {
    const { db } = connection;
    const projects = createProjectsFactory(db);
    const changes = createChangesFactory(db, 'project');
    const { id } = await projects.createProject(aProject());
    const capitals = id.toUpperCase();
    const named = { name: 'named' };
    expect((await projects.getProject(capitals)).id).toBe(id);
    expect(await projects.getProjectsById([capitals], ['id'])).toEqual([{ id }]);
    expect(await projects.updateProject(capitals, named)).toMatchObject({ id, version: 2 });
    const put = await projects.putProject(capitals, aProject());
    expect(put).toMatchObject({ created: false, project: { id, version: 3 } });
    const replace: ProjectOperation = {
      op: 'replace',
      id: capitals,
      project: aProject(),
      versions: [3],
    };
    expect(await projects.writeProjects([replace])).toMatchObject([
      { op: 'replace', created: false, project: { id, version: 4 } },
    ]);
    expect((await changes.getHistory(capitals)).changes).toHaveLength(4);
    expect(await projects.writeProjects([{ op: 'delete', id: capitals }])).toMatchObject([
      { op: 'delete', project: { id, version: 4 } },
    ]);
    for (const wrong of ['7', id.replaceAll('-', ''), `{${id}}`])
      for (const call of [
        () => projects.getProject(wrong),
        () => projects.getProjectsById([wrong]),
        () => projects.updateProject(wrong, named),
        () => projects.putProject(wrong, aProject()),
        () => projects.deleteProject(wrong),
        () => projects.writeProjects([{ op: 'delete', id: wrong }]),
        () => changes.getHistory(wrong),
      ])
        expect(await codeOf(call())).toBe('invalid_value');
  });

  it('reads up to 1000 projects by their ids, and refuses more', async () => {
    const projects = createProjectsFactory(connection.db);
    const { id } = await projects.createProject(aProject());
    const unknown = Array.from({ length: 999 }, () => randomUUID());
    expect(await projects.getProjectsById([...unknown, id], ['id'])).toEqual([{ id }]);
    await expect(projects.getProjectsById([...unknown, id, id])).rejects.toMatchObject({
      code: 'invalid_value',
      message: '1001 ids are too many for one read. Pass at most 1000 ids in one call.',
    });
  });

  it('works in a plain script without Nest', async () => {
    await built();
    const script = `
      import { createDatabaseConnection } from './dist/db/connection.js';
      import { createProjectsFactory } from './dist/db/factories/projects/projects.factory.js';
      const { db, close } = createDatabaseConnection({ url: process.argv[1] });
      const project = await createProjectsFactory(db).createProject({ name: 'Script', description: '', technologies: [] });
      await close();
      console.log(project.name, project.version);`;
    const output = execFileSync(
      process.execPath,
      ['--input-type=module', '-e', script, database.url],
      { encoding: 'utf8' },
    );
    expect(output).toBe('Script 1\n');
  });
});

describe('inTransaction', () => {
  it('repeats a transaction that the database ended for another one, so both of two deadlocked ones succeed', async () => {
    const projects = createProjectsFactory(connection.db);
    const [a, b] = [
      await projects.createProject(aProject()),
      await projects.createProject(aProject()),
    ];
    let attempts = 0;
    let bothHoldOne: () => void;
    const met = new Promise<void>((resolve) => (bothHoldOne = resolve));
    const rename = (first: string, second: string) =>
      inTransaction(connection.db, async (tx) => {
        const inside = createProjectsFactory(tx);
        await inside.updateProject(first, { description: 'once' });
        if (++attempts === 2) bothHoldOne();
        await met;
        await inside.updateProject(second, { description: 'twice' });
      });
    await Promise.all([rename(a.id, b.id), rename(b.id, a.id)]);
    expect(attempts).toBe(3);
    expect((await projects.getProject(a.id)).version).toBe(3);
    expect((await projects.getProject(b.id)).version).toBe(3);
  });

  it('does not repeat a transaction that failed for another reason', async () => {
    let attempts = 0;
    const failing = inTransaction(connection.db, async () => {
      attempts++;
      throw new Error('mine');
    });
    await expect(failing).rejects.toThrow('mine');
    expect(attempts).toBe(1);
  });
});
