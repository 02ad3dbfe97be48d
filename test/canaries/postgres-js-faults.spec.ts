import { atEnd, connectPlainly, endEachTest } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { lateCost } from '../support/late-cost.js';
import { runOnPlainDriver } from '../support/plain-driver.js';
import { startProxy } from '../support/proxy.js';

// The faults of plain postgres.js that are the reason for the pool in src/db/driver. If a test fails, the library no
// longer has that fault: read docs/decisions/0001-own-pool.md again.

let database: TestDatabase;
let url: string;
beforeAll(async () => {
  database = await createTestDatabase();
  url = database.url;
});
afterAll(() => database.drop());
endEachTest();

async function openProxy() {
  const proxy = await startProxy(url);
  atEnd(() => proxy.close());
  return proxy;
}

it('postgres.js needs more processor time for each query, the more queries it has run', async () => {
  const { output } = await runOnPlainDriver(
    url,
    `const sql = postgres(url, { max: 10 });
    const run = () => sql.unsafe('select id from projects limit $1', [1], { prepare: true });
    console.log(await (${lateCost.toString()})(168_000, run))`,
  );
  expect(Number(output)).toBeGreaterThan(1.3);
}, 120_000);

it('postgres.js waits forever for a server that does not answer', async () => {
  const proxy = await openProxy();
  const plain = connectPlainly(proxy.url, { connection: { statement_timeout: 100 } });
  await plain`select 1`;
  proxy.freeze();
  const answer = plain`select 1`.then(
    () => 'answered',
    () => 'refused',
  );
  const later = new Promise((resolve) => setTimeout(resolve, 2000, 'pending'));
  expect(await Promise.race([answer, later])).toBe('pending');
  await plain.end({ timeout: 0 });
});

it('postgres.js waits for its back-off although the server accepts connections again', async () => {
  const proxy = await openProxy();
  proxy.refuse();
  let hasFailed = () => {};
  const failed = new Promise<void>((resolve) => (hasFailed = resolve));
  const script = `
    const sql = postgres(url, { max: 10 }), query = () => sql\`select 1\`.catch(() => {});
    const queries = () => Promise.all(Array.from({ length: 10 }, query));
    await queries();
    console.log('refused');
    const later = new Promise((resolve) => setTimeout(resolve, 2000, 'some wait'));
    console.log(await Promise.race([queries().then(() => 'served'), later]));`;
  const plain = runOnPlainDriver(proxy.url, script, hasFailed);
  await failed;
  await proxy.accept();
  expect((await plain).output).toBe('refused\nsome wait\n');
});

it('postgres.js ends the process when a connection is reset while it is opened', async () => {
  const proxy = await openProxy();
  proxy.resetOn('pg_type');
  const { code } = await runOnPlainDriver(
    proxy.url,
    `await postgres(url, { max: 1 })\`select 1\`.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 100));`,
  );
  expect(code).toBe(1);
});

it('postgres.js ends the process, or stores a statement, when the session of a transaction is terminated', async () => {
  const admin = connectPlainly(url);
  await admin`create table marks (note text)`;
  const transaction = (waiting: string) =>
    runOnPlainDriver(
      url,
      `const sql = postgres(url, { max: 1 }), killer = postgres(url, { max: 1 });
      await sql.begin(async (tx) => {
        const [{ pid }] = await tx\`select pg_backend_pid() as pid\`;
        await tx\`insert into marks values ('before')\`;
        ${waiting}
        await new Promise((resolve) => setTimeout(resolve, 20));
        await killer\`select pg_terminate_backend(\${pid})\`;
        await new Promise((resolve) => setTimeout(resolve, 400));
        await tx\`insert into marks values ('after')\`;
      }).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 800));`,
    );
  expect(await transaction('')).toMatchObject({
    code: 1,
    output: expect.stringContaining('write') as string,
  });
  expect(await transaction('sql`select 1`.execute();')).toMatchObject({ code: 0 });
  expect([...(await admin`select note from marks`)]).toEqual([{ note: 'after' }]);
});

it('postgres.js hangs when a transaction uses the pool while it holds the last connection', async () => {
  const { output } = await runOnPlainDriver(
    url,
    `const sql = postgres(url, { max: 1 });
    const inside = sql.begin(() => sql\`select 1\`).then(() => 'answered', () => 'refused');
    const second = new Promise((resolve) => setTimeout(resolve, 1000, 'hangs'));
    console.log(await Promise.race([inside, second]));`,
  );
  expect(output).toBe('hangs\n');
});
