import postgres from 'postgres';
import request from 'supertest';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { migrate } from '../../src/db/migrate.js';
import { ping } from '../../src/db/ping.js';
import { aProject } from '../support/builders.js';
import { codeOf, connect, connectPlainly, endEachTest, until } from '../support/connections.js';
import { createEmptyDatabase, type TestDatabase } from '../support/database.js';
import { openEvents } from '../support/event-client.js';
import { withProgram } from '../support/needs.js';
import { type Pgbouncer, startPgbouncer } from '../support/pgbouncer.js';
import { killServices, startProcess } from '../support/process.js';
import { EXPORT, IMPORT, NDJSON, ndjson, onDatabase } from '../support/transfer.js';

const SERVER_CONNECTIONS = 3;
const STATEMENT_TIMEOUT_MS = 1500;
const LIST = '/api/projects';

const pooler = withProgram('pgbouncer');

pooler.describe('two instances behind pgbouncer, in transaction mode', () => {
  let database: TestDatabase;
  let pgbouncer: Pgbouncer;
  let apis: ReturnType<typeof request>[];
  let urls: string[];

  beforeAll(async () => {
    database = await createEmptyDatabase();
    const { pathname } = new URL(database.url);
    // The pooler does not forward startup parameters, as docs/database/overview.md says.
    await onDatabase(database.url, (sql) =>
      sql.unsafe(
        `alter database ${pathname.slice(1)} set statement_timeout = ${STATEMENT_TIMEOUT_MS}`,
      ),
    );
    pgbouncer = await startPgbouncer(pooler.file, { connections: SERVER_CONNECTIONS });
    const variables = {
      DATABASE_URL: pgbouncer.through(database.url),
      DATABASE_PREPARE: 'false',
      DATABASE_MAX_CONNECTIONS: '20',
      // A caller that waits in the pooler waits for the answer to a statement.
      DATABASE_STATEMENT_TIMEOUT_MS: '15000',
      DATABASE_ACQUIRE_TIMEOUT_MS: '15000',
    };
    const services = await Promise.all([startProcess(variables), startProcess(variables)]);
    urls = await Promise.all(services.map(({ url }) => url));
    apis = urls.map((url) => request(url));
    for (const api of apis)
      await until(async () => (await api.get('/health/ready')).status === 200, 60_000);
  }, 120_000);
  endEachTest();
  afterAll(async () => {
    await killServices();
    await pgbouncer?.stop();
    await database?.drop();
  });

  const one = (i: number) => apis[i % apis.length]!;

  it('have applied the migrations through it, and find nothing left to apply', async () => {
    expect(await migrate({ url: pgbouncer.through(database.url), prepare: false })).toEqual([]);
  });

  it('give many callers their own answers over few server connections', async () => {
    const visit = async (i: number) => {
      const project = aProject({ name: `Visitor ${i}`, technologies: [`Tool ${i}`] });
      const { body, headers } = await one(i).post(LIST).send(project).expect(201);
      expect(body.data).toMatchObject(project);
      const path = headers.location!;
      const changed = one(i + 1).patch(path);
      await changed
        .set('if-match', '"1"')
        .send({ description: `of ${i}` })
        .expect(200);
      const filter = { technology: `Tool ${i}`, q: 'visitor', count: 'exact' };
      const found = await one(i).get(LIST).query(filter).expect(200);
      expect(found.body.meta.total).toBe(1);
      expect(found.body.data).toEqual([(await one(i).get(path).expect(200)).body.data]);
      expect(found.body.data[0]).toMatchObject({ description: `of ${i}`, version: 2 });
      await one(i).delete(path).expect(200);
    };
    await Promise.all(Array.from({ length: 60 }, (_, i) => visit(i)));
    const sql = connectPlainly(database.url);
    const sessions = await sql`select from pg_stat_activity where datname = current_database()
        and backend_type = 'client backend' and pid <> pg_backend_pid()`;
    expect(sessions.length).toBeLessThanOrEqual(SERVER_CONNECTIONS);
    expect(sessions.length).toBeGreaterThan(0);
  });

  it('let one of twenty writers with the same ETag succeed, and execute a POST with one key once', async () => {
    const { headers } = await one(0).post(LIST).send(aProject()).expect(201);
    const writes = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        one(i)
          .patch(headers.location!)
          .set('if-match', '"1"')
          .send({ name: `of ${i}` }),
      ),
    );
    expect(writes.map(({ status }) => status).sort()).toEqual([
      200,
      ...Array.from({ length: 19 }, () => 412),
    ]);
    const project = aProject();
    const posts = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        one(i).post(LIST).set('idempotency-key', 'one-for-all').send(project).expect(201),
      ),
    );
    expect(new Set(posts.map(({ text }) => text)).size).toBe(1);
  });

  it('import and export, and leave no transaction setting on a connection', async () => {
    const rows = Array.from({ length: 2000 }, (_, i) => aProject({ name: `Row ${i}` }));
    const sent = one(0)
      .post(IMPORT)
      .set('content-type', NDJSON)
      .send(ndjson(...rows));
    await sent.expect(200);
    const exports = await Promise.all(
      [0, 1, 2, 3].map((i) => one(i).get(EXPORT).query({ q: 'row' }).expect(200)),
    );
    for (const { text } of exports) expect(text.trim().split('\n')).toHaveLength(2000);

    const through = connectPlainly(pgbouncer.through(database.url), {
      max: SERVER_CONNECTIONS,
      prepare: false,
      connection: { application_name: 'settings' },
    });
    const settings = await Promise.all(
      Array.from({ length: SERVER_CONNECTIONS }, () =>
        through.unsafe(`select pg_backend_pid() as pid, current_setting('statement_timeout') as timeout,
            current_setting('transaction_read_only') as read_only, pg_sleep(0.3)`),
      ),
    );
    expect(new Set(settings.map(([row]) => row!.pid)).size).toBe(SERVER_CONNECTIONS);
    for (const [row] of settings)
      expect(row).toMatchObject({ timeout: '1500ms', read_only: 'off' });
  });

  it('end a slow statement by the time limit of the database', async () => {
    const { headers } = await one(0).post(LIST).send(aProject()).expect(201);
    const path = headers.location!;
    const sql = connectPlainly(database.url);
    await sql`begin`;
    await sql`select from projects where id = ${path.split('/').at(-1)!} for update`;
    const { status, body } = await one(0).patch(path).send({ description: 'late' });
    expect([status, body.code]).toEqual([503, 'statement_timeout']);
    await sql`rollback`;
    await one(0).patch(path).send({ description: 'in time' }).expect(200);
  });

  it('stream the changes of both instances live, each change once', async () => {
    const live = await openEvents(`${urls[0]}${LIST}/changes?after=now`);
    try {
      await Promise.all(
        Array.from({ length: 10 }, (_, i) => one(i).post(LIST).send(aProject()).expect(201)),
      );
      await live.received(10);
      const ids = live.events.map(({ data }) => data.after!.id);
      expect(new Set(ids).size).toBe(10);
    } finally {
      live.leave();
    }
  });

  it('lose nothing when every backend is terminated in the middle', async () => {
    const sql = connectPlainly(database.url);
    let ended = false;
    const writer = async (i: number) => {
      const acknowledged: string[] = [];
      while (!ended) {
        const { status, body } = await one(i).post(LIST).send(aProject());
        if (status === 201) acknowledged.push(body.data.id);
        else expect([status, body.code]).toEqual([503, 'database_unavailable']);
      }
      return acknowledged;
    };
    const writers = Array.from({ length: 8 }, (_, i) => writer(i));
    for (let i = 0; i < 5; i++) {
      await sql`select pg_sleep(0.2)`;
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`;
    }
    ended = true;
    const ids = (await Promise.all(writers)).flat();
    expect(ids.length).toBeGreaterThan(0);
    const [row] = await sql`select count(*)::int from projects where id = any(${ids})`;
    expect(row!.count).toBe(ids.length);
    await one(0).post(LIST).send(aProject()).expect(201);
  });

  describe('whose server ends idle transactions', () => {
    const IDLE_MS = 500;
    let sql: postgres.Sql;

    beforeAll(async () => {
      sql = postgres(database.url, { max: 1, onnotice: () => {} });
      await changeSetting(`set idle_in_transaction_session_timeout = ${IDLE_MS}`);
    });
    afterAll(async () => {
      await changeSetting('reset idle_in_transaction_session_timeout');
      await sql.end();
    });

    /** New connections have the setting, so the others are ended. */
    async function changeSetting(change: string): Promise<void> {
      await sql.unsafe(`alter database ${new URL(database.url).pathname.slice(1)} ${change}`);
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`;
    }

    const idleTransactions = async () => {
      const [row] = await sql`select count(*)::int from pg_stat_activity
          where datname = current_database() and state like 'idle in transaction%'`;
      return row!.count as number;
    };

    it('report the end of a transaction at once, and keep their connections', async () => {
      const { db, stats } = connect({
        url: pgbouncer.through(database.url),
        prepare: false,
        max: 2,
        transaction_timeout_ms: 60_000,
      });
      await until(async () => (await codeOf(ping(db))) === 'none');
      const name = 'of an idle transaction';
      for (let round = 0; round < 5; round++) {
        const began = performance.now();
        const code = await codeOf(
          db.transaction(async (tx) => {
            await createProjectsFactory(tx).createProject(aProject({ name }));
            await new Promise(() => {});
          }),
        );
        expect(code).toBe('database_unavailable');
        expect(performance.now() - began).toBeLessThan(10_000);
      }
      expect(await Promise.all([1, 2, 3, 4].map(() => codeOf(ping(db))))).toEqual(
        Array.from({ length: 4 }, () => 'none'),
      );
      expect(stats()).toMatchObject({ waiting: 0, opening: 0 });
      const [row] = await sql`select count(*)::int from projects where name = ${name}`;
      expect(row!.count).toBe(0);
    });

    it('answer 503, and execute each request with a key once, after pauses of the pooler', async () => {
      let ended = false;
      let failures = 0;
      const writer = async (i: number) => {
        const names: string[] = [];
        for (let n = 0; !ended; n++) {
          const name = `Keyed ${i} ${n}`;
          const send = () =>
            one(i).post(LIST).set('idempotency-key', `keyed-${i}-${n}`).send(aProject({ name }));
          let answer = await send();
          for (; answer.status !== 201; answer = await send()) {
            expect([answer.status, answer.body.code]).toEqual([503, 'database_unavailable']);
            failures++;
          }
          names.push(name);
        }
        return names;
      };
      const writers = Array.from({ length: 6 }, (_, i) => writer(i));
      for (let round = 0; round < 5; round++) {
        await until(async () => {
          pgbouncer.freeze();
          if ((await idleTransactions()) > 0) return true;
          pgbouncer.thaw();
          return false;
        });
        await until(async () => (await idleTransactions()) === 0);
        pgbouncer.thaw();
      }
      ended = true;
      const names = (await Promise.all(writers)).flat();
      expect(failures).toBeGreaterThan(0);
      const rows = await sql`select name from projects where name like 'Keyed %'`;
      expect(rows.map(({ name }) => name).sort()).toEqual(names.sort());
      for (const api of apis) await api.get('/health/ready').expect(200);
    });
  });
});
