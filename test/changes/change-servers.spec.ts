import { LiveChanges } from '../../src/changes/live-changes.js';
import { createChangesFactory } from '../../src/db/entity/changes.factory.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { migrate } from '../../src/db/migrate.js';
import type { Project } from '../../src/db/schema.js';
import { aProject } from '../support/builders.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import {
  atEnd,
  codeOf,
  connect,
  connectPlainly,
  endEachTest,
  until,
} from '../support/connections.js';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ max_prepared_transactions: '4' });
  await migrate({ url: cluster.primary });
  await cluster.replayed();
});
endEachTest();
afterAll(() => cluster.stop());

const onPrimary = () => connect({ url: cluster.primary }).db;

it('a standby refuses to read the feed, because it would skip changes, but it reads a history', async () => {
  const primary = onPrimary();
  const { id } = await createProjectsFactory(primary).createProject(aProject());
  const { db } = connect({ url: cluster.standby, accept_standby: true });
  const changes = createChangesFactory(db, 'project');
  await until(async () => (await changes.getHistory(id)).changes.length === 1);
  const end = await createChangesFactory(primary, 'project').getFeedEnd();
  for (const reading of [
    () => changes.getFeedPage(),
    () => changes.getFeedPage({ after: end }),
    () => changes.getFeedEnd(),
  ]) {
    await expect(reading()).rejects.toMatchObject({
      name: 'DataError',
      code: 'database_unavailable',
      message:
        'The change feed can be read on the primary only; this database server is a standby.',
    });
  }
  expect((await changes.getHistory(id)).changes).toHaveLength(1);
  // PostgreSQL allows this by hand too.
  await expect(connectPlainly(cluster.standby)`select changes_settled()`).rejects.toMatchObject({
    code: '25006',
    hint: 'Read the feed on the primary.',
  });
});

describe('a prepared transaction', () => {
  const prepare = async (name: string) => {
    const sql = connectPlainly(cluster.primary);
    await sql.unsafe(`begin; insert into projects (name, description, technologies)
      values ('${name}', '', '[]'); prepare transaction '${name}'`);
    return sql;
  };

  it('delays later commits in the feed until it is committed', async () => {
    const db = onPrimary();
    const changes = createChangesFactory(db, 'project');
    const start = await changes.getFeedEnd();
    const sql = await prepare('prepared');
    await createProjectsFactory(db).createProject(aProject({ name: 'later' }));
    const read = async () =>
      (await changes.getFeedPage({ after: start })).changes.map(
        ({ after }) => (after as Project).name,
      );
    expect(await read()).toEqual([]);
    await sql`commit prepared 'prepared'`;
    expect(await read()).toEqual(['prepared', 'later']);
  });

  it('no longer delays the feed after it is rolled back', async () => {
    const db = onPrimary();
    const changes = createChangesFactory(db, 'project');
    const start = await changes.getFeedEnd();
    const sql = await prepare('given up');
    await sql`rollback prepared 'given up'`;
    expect(await changes.getFeedPage({ after: start })).toMatchObject({
      changes: [],
      hasMore: false,
    });
    expect(await codeOf(changes.getFeedEnd())).toBe('none');
  });

  it('reaches live readers, which poll once a second on such a server', async () => {
    const db = onPrimary();
    const live = new LiveChanges(db, 'project');
    const seen = await createChangesFactory(db, 'project').getFeedEnd();
    const taken: unknown[] = [];
    const follower = {
      seen,
      isBehind: false,
      take: ({ events }: { events: unknown[] }) => void taken.push(...events),
      leaveBehind: () => {},
      end: () => {},
    };
    live.join(follower);
    atEnd(async () => {
      live.leave(follower);
      await live.ended();
    });
    const sql = await prepare('live');
    await sql`commit prepared 'live'`;
    await until(() => taken.length === 1);
  });
});
