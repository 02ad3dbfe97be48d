import postgres from 'postgres';
import request from 'supertest';
import { startService, type TestService } from '../support/service.js';

const TIMEOUT_MS = 60;

let service: TestService;
let sql: postgres.Sql;
beforeAll(async () => {
  service = await startService({ DATABASE_STATEMENT_TIMEOUT_MS: String(TIMEOUT_MS) });
  sql = postgres(service.database.url, { max: 1, onnotice: () => {} });
  // The words of the phrases occur everywhere and the phrases nowhere, so that each text must be read.
  await sql.unsafe(`
    set session_replication_role = replica; -- no triggers: the lists by technology are not asked
    insert into projects (name, description, technologies)
    select 'n' || i, repeat('bx ax cx ', 90), '[]' from generate_series(1, 30000) as i;
    reset session_replication_role`);
  await sql.unsafe('vacuum analyze projects');
}, 120_000);
afterAll(async () => {
  await sql.end();
  await service.close();
});

it('a slow search gets 503 at the time limit and is ended in the database', async () => {
  const words = ['ax', 'bx', 'cx'];
  const q = words.flatMap((a) => words.map((b) => `"${a} ${b} ${a}"`)).join(' or ');
  const [plan] = await sql`
    explain (analyze, format json) select id from projects
    where search @@ websearch_to_tsquery('simple', ${q}) order by created_at desc limit 51`;
  expect(plan!['QUERY PLAN'][0]['Execution Time']).toBeGreaterThan(2 * TIMEOUT_MS);
  const answers = await Promise.all(
    Array.from({ length: 4 }, () => request(service.url).get('/api/projects').query({ q })),
  );
  for (const { status, body, headers } of answers) {
    expect([status, body.code]).toEqual([503, 'statement_timeout']);
    expect(headers['retry-after']).toBe('1');
  }
  const running = await sql`
    select query from pg_stat_activity
    where datname = current_database() and state = 'active' and pid <> pg_backend_pid()
      and backend_type = 'client backend'`;
  expect(running).toEqual([]);
  const { status } = await request(service.url).get('/api/projects?q=n7&limit=1');
  expect(status).toBe(200);
});
