import postgres from 'postgres';
import { createDatabaseConnection, type DatabaseConnection } from '../src/db/connection.js';
import { createProjectsFactory } from '../src/db/factories/projects.factory.js';
import { aProject } from './support/builders.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';

let database: TestDatabase;
let connection: DatabaseConnection;
let sql: postgres.Sql;
beforeEach(async () => {
  database = await createTestDatabase();
  connection = createDatabaseConnection({ url: database.url });
  sql = postgres(database.url, { max: 4, onnotice: () => {} });
});
afterEach(async () => {
  await sql.end();
  await connection.close();
  await database.drop();
});

/** What has been committed, in the order of the commits. */
const committed = () => sql`
  select changes.* from change_commits join changes using (change_set) order by position, sequence`;

describe('The triggers of changes', () => {
  it('write every version of a project, with who made it', async () => {
    const projects = createProjectsFactory(connection.db);
    const by = { actor: 'ada', requestId: 'r-1' };
    const created = await projects.createProject(aProject(), by);
    const updated = await projects.updateProject(created.id, { name: 'Other' }, { by });
    await sql`update projects set description = 'by hand' where id = ${created.id}`;
    const deleted = await projects.deleteProject(created.id, { by });
    const rows = await committed();
    expect(
      rows.map(({ action, version, actor, request_id }) => [action, version, actor, request_id]),
    ).toEqual([
      ['created', 1, 'ada', 'r-1'],
      ['updated', 2, 'ada', 'r-1'],
      ['updated', 3, '', ''],
      ['deleted', 4, 'ada', 'r-1'],
    ]);
    expect(rows.map(({ before }) => before)).toEqual(
      JSON.parse(JSON.stringify([null, created, updated, deleted])),
    );
    expect(rows.map(({ after }) => after)).toEqual(
      JSON.parse(JSON.stringify([created, updated, deleted, null])),
    );
  });

  it('order transactions by their commits, however they began', async () => {
    const insert = (on: postgres.ISql, name: string) =>
      on`insert into projects (name, description, technologies) values (${name}, '', '[]')`;
    await sql.begin(async (first) => {
      await insert(first, 'first to write');
      await sql.begin(async (second) => {
        await insert(second, 'second to write, first to commit');
        await insert(second, 'of the same transaction');
      });
      await insert(first, 'last');
    });
    expect((await committed()).map(({ after }) => after.name)).toEqual([
      'second to write, first to commit',
      'of the same transaction',
      'first to write',
      'last',
    ]);
  });
});
