import { createApplication } from '../src/application.js';
import { validateEnvironment } from '../src/config/environment.js';
import { createTestDatabase } from './support/database.js';
import { atEnd, endEachTest, until } from './support/connections.js';
import { startProxy } from './support/proxy.js';

endEachTest();

it('a hole in the network is answered 503, and mended without a restart', async () => {
  const database = await createTestDatabase();
  atEnd(() => database.drop());
  const proxy = await startProxy(database.url);
  atEnd(() => proxy.close());
  const app = await createApplication(
    validateEnvironment({
      DATABASE_URL: proxy.url,
      DATABASE_STATEMENT_TIMEOUT_MS: '500',
      DATABASE_ACQUIRE_TIMEOUT_MS: '1000',
      DATABASE_CONNECT_TIMEOUT: '1',
      MIGRATIONS: 'off',
      LOG_LEVEL: 'fatal',
      NODE_ENV: 'test',
    }),
  );
  atEnd(() => app.close());
  await app.listen(0, '127.0.0.1');
  const url = `${await app.getUrl()}/api/projects`;
  const statusOf = async () => {
    const response = await fetch(url);
    await response.text();
    return response.status;
  };
  expect(await Promise.all(Array.from({ length: 20 }, statusOf))).toEqual(Array(20).fill(200));

  proxy.freeze();
  const began = performance.now();
  expect(await Promise.all(Array.from({ length: 20 }, statusOf))).toEqual(Array(20).fill(503));
  // 1.5 s are the statement timeout and a second; the rest is the patience of a busy machine.
  expect(performance.now() - began).toBeLessThan(30_000);
  proxy.thaw();
  await until(async () => (await statusOf()) === 200, 60_000);
});
