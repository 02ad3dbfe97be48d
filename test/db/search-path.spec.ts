import postgres from 'postgres';
import { atEnd, connectPlainly, endEachTest } from '../support/connections.js';
import { createEmptyDatabase, createTestDatabase } from '../support/database.js';

endEachTest();

async function database(make = createTestDatabase): Promise<string> {
  const created = await make();
  atEnd(() => created.drop());
  return created.url;
}

const TABLES = [
  ...['changes', 'change_commits', 'project_technologies', 'technology_changes'],
  ...['technology_counts', 'name_words'],
];

const state = (sql: postgres.Sql, schema = 'public') =>
  sql.unsafe(`
    select (select count(*)::integer from ${schema}.changes) as changes,
      (select count(*)::integer from ${schema}.change_commits) as commits,
      (select count(*)::integer from ${schema}.project_technologies) as technologies,
      (select count(*)::integer from ${schema}.name_words) as words`);

/** Creates a project, renames it, gives it another technology, and deletes another one. */
async function write(sql: postgres.Sql, projects = 'projects'): Promise<void> {
  await sql.unsafe(
    `insert into ${projects} (name, description, technologies) values ('Alpha', '', '["A", "B"]'), ('Beta', '', '["C"]')`,
  );
  await sql.unsafe(
    `update ${projects} set name = 'Gamma', technologies = '["D"]' where name = 'Alpha'`,
  );
  await sql.unsafe(`delete from ${projects} where name = 'Beta'`);
  await sql.unsafe(`select ${projects.replace(/projects$/, '')}fold_technology_changes()`);
}

const WRITTEN = [{ changes: 4, commits: 3, technologies: 1, words: 3 }];

it('writes have history and lists despite temporary tables of the same names', async () => {
  const sql = connectPlainly(await database());
  for (const table of TABLES) await sql.unsafe(`create temp table ${table} as table ${table}`);
  await write(sql);
  expect(await state(sql)).toEqual(WRITTEN);
  for (const table of TABLES) expect(await sql.unsafe(`select from pg_temp.${table}`)).toEqual([]);
});

it('writes work with an empty search path', async () => {
  const sql = connectPlainly(await database());
  await sql`set search_path = ''`;
  await write(sql, 'public.projects');
  expect(await state(sql)).toEqual(WRITTEN);
});

it('a session setting cannot hide a change from the feed', async () => {
  const sql = connectPlainly(await database());
  await write(sql);
  await sql`select set_config('changes.set_' || encode('project', 'hex'), (select min(change_set)::text from changes), false)`;
  await write(sql);
  expect(
    await sql`select from changes where change_set not in (select change_set from change_commits)`,
  ).toEqual([]);
  expect(await sql`select from change_commits`).toHaveLength(6);
});

it('a second schema of the same database has its own tables, and its triggers write to them', async () => {
  const url = await database(createEmptyDatabase);
  const admin = connectPlainly(url);
  for (const schema of ['s1', 's2']) {
    await admin.unsafe(`create schema ${schema}`);
    const own = new URL(url);
    own.searchParams.set('search_path', `${schema},public`);
    const sql = connectPlainly(own.href);
    // Without migrate(), whose journal would be that of the other schema.
    await applyMigrations(sql);
    await write(sql);
    expect(await state(sql, schema)).toEqual(WRITTEN);
  }
  await write(admin, 's1.projects');
  expect(await state(admin, 's1')).toEqual([{ changes: 8, commits: 6, technologies: 2, words: 3 }]);
  expect(await state(admin, 's2')).toEqual(WRITTEN);
});

it('writes work while every table is published for logical replication', async () => {
  const url = await database();
  const sql = connectPlainly(url);
  await sql`create publication everything for all tables`;
  await write(sql);
  await sql`
    insert into projects (name, description, technologies)
    select 'n' || i, '', jsonb_build_array('T', i::text) from generate_series(1, 1000) as i`;
  while ((await sql`select fold_technology_changes() as folded`)[0]!.folded > 0);
  await sql`update change_expiry set position = 1`;
  await sql`delete from changes`;
  await sql`delete from change_commits`;
  await sql`delete from idempotency_keys`;
  await sql`delete from name_words`;
  await sql`truncate projects`;
  expect(
    await sql`
      select relname from pg_class
      where relkind = 'r' and relnamespace = 'public'::regnamespace and relreplident = 'd'
        and not exists (select from pg_index where indrelid = pg_class.oid and indisprimary)`,
  ).toEqual([]);
});

it('a restore of rows without their triggers fails with an error', async () => {
  const url = await database();
  const sql = connectPlainly(url);
  await write(sql);
  const restored = connectPlainly(await database());
  await restored`set search_path = ''`;
  // Inserts rows like a data-only restore, in the order of the table names.
  for (const table of ['project_technologies', 'projects']) {
    const rows = await sql.unsafe(
      `select * ${table === 'projects' ? ', null as search' : ''} from ${table}`,
    );
    const columns = Object.keys(rows[0]!).filter((name) => name !== 'search');
    const values = rows.map((row) => Object.fromEntries(columns.map((name) => [name, row[name]])));
    const insert = restored`insert into ${restored(`public.${table}`)} ${restored(values as never, columns as never)}`;
    if (table === 'projects') await expect(insert).rejects.toMatchObject({ code: '23505' });
    else await insert;
  }
  expect(await restored`select from public.projects`).toHaveLength(0);
});

async function applyMigrations(sql: postgres.Sql): Promise<void> {
  const { readMigrationFiles } = await import('drizzle-orm/migrator');
  await sql.begin(async (tx) => {
    for (const { sql: statements } of readMigrationFiles({ migrationsFolder: 'src/db/migrations' }))
      for (const statement of statements) await tx.unsafe(statement);
  });
}
