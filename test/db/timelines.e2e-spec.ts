import { createApplication } from '../../src/application.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import type { Db } from '../../src/db/connection.js';
import { DATABASE } from '../../src/db/database.module.js';
import { migrate } from '../../src/db/migrate.js';
import { replicasOf } from '../../src/db/replicas/replicas.js';
import { startCluster } from '../support/cluster.js';
import { atEnd, endEachTest, until } from '../support/connections.js';

const LONG = 120_000;
const TOKEN = 'X-Consistency-Token';
endEachTest();

it('a third server answers reads with the tokens of all three timelines after two failovers', async () => {
  const cluster = await startCluster({}, { standbys: 2 });
  atEnd(() => cluster.stop());
  await migrate({ url: cluster.primary });
  await cluster.replayed();
  const app = await createApplication(
    validateEnvironment({
      DATABASE_URL: cluster.both('primary', 'standby'),
      DATABASE_REPLICA_URLS: cluster.second,
      DATABASE_REPLICA_MAX_LAG_MS: '0',
      MIGRATIONS: 'off',
      LOG_LEVEL: 'fatal',
      NODE_ENV: 'test',
    }),
  );
  atEnd(() => app.close());
  await app.listen(0, '127.0.0.1');
  const url = `${await app.getUrl()}/api/projects`;
  const third = () => replicasOf(app.get<Db>(DATABASE))!.stats()[0]!;

  const written: { id: string; token: string }[] = [];
  const write = async () => {
    await until(async () => {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ name: 'written', description: '', technologies: [] }),
      });
      const { data } = (await response.json()) as { data: { id: string } };
      if (response.status !== 201) return false;
      written.push({ id: data.id, token: response.headers.get(TOKEN)! });
      return true;
    }, LONG);
  };
  /** Reads every write with its token until the third server has answered. */
  const readAll = async () => {
    for (const { id, token } of written) {
      await until(async () => {
        const before = third().reads;
        const response = await fetch(`${url}/${id}`, { headers: { [TOKEN]: token } });
        await response.text();
        expect(response.status).toBe(200);
        return third().reads > before;
      }, LONG);
    }
  };

  await write();
  await readAll();
  await cluster.replayed();
  await cluster.kill('primary');
  await cluster.promote('standby');
  await write();
  await readAll();

  await cluster.rebuild('primary', 'standby');
  await cluster.synchronize('standby');
  await write(); // both standbys may have the write, but the promoted one must have it
  await until(async () => await cluster.hasReplayed('primary', 'standby'), LONG);
  await cluster.kill('standby');
  await cluster.promote('primary');
  await write();
  await readAll();
  expect(written.map(({ token }) => token.split('-')[0])).toEqual(['1', '2', '2', '3']);
}, 300_000);
