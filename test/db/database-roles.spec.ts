import { readFile } from 'node:fs/promises';
import request from 'supertest';
import { createApplication } from '../../src/application.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import { onServer } from '../../src/db/embedded/test-database.js';
import { migrate } from '../../src/db/migrate.js';
import { atEnd, connectPlainly, endEachTest } from '../support/connections.js';
import { copyOfMigrations, emptyDatabase } from '../support/migrations.js';

const MIGRATOR = `migrator_${process.pid}`;
const SERVER = `server_${process.pid}`;

/** The SQL from docs/database/overview.md, "Roles", for the roles of this test. */
async function documentedGrants(): Promise<string> {
  const guide = await readFile('docs/database/overview.md', 'utf8');
  const [, grants] = /### Roles.*?```sql\n(.*?)```/s.exec(guide)!;
  return grants!.replaceAll(/\bmigrator\b/g, MIGRATOR).replaceAll(/\bserver\b/g, SERVER);
}

endEachTest();
beforeAll(() =>
  runOnServer(
    `create role ${MIGRATOR} login password 'x'; create role ${SERVER} login password 'x'`,
  ),
);
afterAll(() => runOnServer(`drop role ${MIGRATOR}, ${SERVER}`));

/** Opens its own connection: those of tests are closed before `afterAll`. */
function runOnServer(statement: string): Promise<void> {
  return onServer(process.env.TEST_DATABASE_URL!, [statement]);
}

function as(role: string, url: string): string {
  const other = new URL(url);
  other.username = role;
  other.password = 'x';
  return other.href;
}

async function startAs(role: string, url: string) {
  const app = await createApplication(
    validateEnvironment({ DATABASE_URL: as(role, url), MIGRATIONS: 'verify', LOG_LEVEL: 'fatal' }),
  );
  atEnd(() => app.close());
  await app.listen(0, '127.0.0.1');
  return request(await app.getUrl());
}

it('one role migrates and another one serves with only the documented grants', async () => {
  const url = await emptyDatabase();
  const admin = connectPlainly(url);
  await admin.unsafe('revoke all on schema public from public');
  await admin.unsafe(await documentedGrants());
  const applied = await migrate({ url: as(MIGRATOR, url) });
  expect(applied.length).toBeGreaterThan(0);

  const api = await startAs(SERVER, url);
  await api.get('/health/ready').expect(200);
  const project = { name: 'Granted', description: '', technologies: ['C'] };
  const created = await api
    .post('/api/projects')
    .set('Idempotency-Key', 'granted')
    .send(project)
    .expect(201);
  const { id } = created.body.data;
  const path = `/api/projects/${id}`;
  await api
    .put(path)
    .send({ ...project, name: 'Again' })
    .expect(200);
  await api
    .patch(path)
    .send({ technologies: ['D'] })
    .expect(200);
  await api.get(path).expect(200);
  await api.get('/api/projects?q=again&technology=D').expect(200);
  await api.get('/api/projects?q=agian').expect(200);
  await api.get('/api/technologies').expect(200);
  await api.get(`${path}/history`).expect(200);
  await api.get('/api/projects/changes').expect(200);
  await api.get('/api/projects/export').expect(200);
  await api
    .post('/api/projects/import')
    .set('Content-Type', 'application/x-ndjson')
    .send(`${JSON.stringify(project)}\n`)
    .expect(200);
  const operations = [{ op: 'create', project }];
  await api.post('/api/projects/batch').send({ operations }).expect(200);
  await api.delete(path).expect(200);

  // Nothing is pending, so the serving role may also run the migrations.
  expect(await migrate({ url: as(SERVER, url) })).toEqual([]);
});

it('a role without CREATE fails with the name of the pending migration', async () => {
  const url = await emptyDatabase();
  await migrate({ url });
  const { folder, add } = await copyOfMigrations();
  await add('9001_later', 'create table later (n int);', 1);
  await expect(migrate({ url: as(SERVER, url) }, { folder })).rejects.toThrow(
    'The migration 9001_later failed: permission denied for schema public (42501). Grant it',
  );
});

it('a role with rights on the tables only is ready', async () => {
  const url = await emptyDatabase();
  await migrate({ url });
  await connectPlainly(url).unsafe(`grant select, insert, update, delete on projects to ${SERVER}`);
  const api = await startAs(SERVER, url);
  await api.get('/health/ready').expect(200);
});
