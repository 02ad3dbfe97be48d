import { createApplication } from '../../src/application.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import { aProject } from '../support/builders.js';
import { createTestDatabase } from '../support/database.js';
import { atEnd, endEachTest, until } from '../support/connections.js';
import { startProxy } from '../support/proxy.js';

const STATEMENT_TIMEOUT_MS = 500;
endEachTest();

it('requests get 503 within the statement timeout plus a second when the network drops all packets, and the service recovers without a restart', async () => {
  const database = await createTestDatabase();
  atEnd(() => database.drop());
  const proxy = await startProxy(database.url);
  atEnd(() => proxy.close());
  const app = await createApplication(
    validateEnvironment({
      DATABASE_URL: proxy.url,
      DATABASE_STATEMENT_TIMEOUT_MS: String(STATEMENT_TIMEOUT_MS),
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
  const create = async () => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(aProject()),
    });
    await response.text();
    return response.status;
  };
  const reads = () => Promise.all(Array.from({ length: 20 }, statusOf));
  const writes = () => Promise.all(Array.from({ length: 20 }, create));
  expect(await reads()).toEqual(Array(20).fill(200));
  expect(await writes()).toEqual(Array(20).fill(201));

  // The bound is counted in timers of 10 ms that follow one another. Where the machine is busy, the timers are late
  // as the answers are.
  const LONGEST_TIMERS = (STATEMENT_TIMEOUT_MS + 1000) / 10;
  const timers: number[] = [];
  while (timers.length < 10 && !timers.some((count) => count <= LONGEST_TIMERS)) {
    proxy.freeze();
    const counter = countTimers();
    const answers = await Promise.all([reads(), writes()]);
    expect(answers.flat()).toEqual(Array(40).fill(503));
    timers.push(counter.stop());
    proxy.thaw();
    await until(async () => (await statusOf()) === 200, 60_000);
  }
  expect(Math.min(...timers)).toBeLessThanOrEqual(LONGEST_TIMERS);
}, 120_000);

/** Counts timers of 10 ms, each of which starts when the one before has fired, until `stop` returns their number. */
function countTimers() {
  let count = 0;
  let timer: NodeJS.Timeout;
  const next = () => {
    timer = setTimeout(() => {
      count += 1;
      next();
    }, 10);
  };
  next();
  return {
    stop() {
      clearTimeout(timer);
      return count;
    },
  };
}
