import { type SQL, sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import { WAS_INSERTED } from '../../entity/first-version.js';
import { columnOf, eachWritten, kindOf, type ProjectValues, WRITTEN } from './columns.js';
import { projects } from '../../schema.js';

/** One project of an import: with an id it replaces the project, or is created under that id. */
export interface ProjectRow extends ProjectValues {
  id?: string;
  /**
   * What a project that is created begins with: by default now, now and the first version after its
   * history. A version that the history has already is raised in the same way, unless the row brings
   * back a deleted project exactly as it was. A project that exists keeps its own.
   */
  createdAt?: string;
  updatedAt?: string;
  version?: number;
}

export interface ImportCounts {
  created: number;
  replaced: number;
  /** Those that stood already as the row has them: not written, their version is the same. */
  unchanged: number;
}

/**
 * Writes the rows in one statement, no two of them with the same id. Throws `invalid_value`,
 * `conflict`, `statement_timeout`.
 */
export async function importRows(db: Db, rows: ProjectRow[]): Promise<ImportCounts> {
  await lockRows(db, rows);
  const [counted] = await db.execute<Written>(sql`
    with written as (
      insert into projects as known (id, ${eachWritten(columnOf)}, created_at, updated_at, version)
      select coalesce(given.id, gen_random_uuid()), ${eachWritten(columnOf)},
        coalesce(created_at, now()), coalesce(updated_at, now()), ${FIRST_VERSION}
      from ${given(rows)} left join lateral (
        select version, action, before from changes where entity_id = given.id and entity = 'project'
        order by sequence desc limit 1
      ) as last on true
      on conflict (id) do update
        set ${eachWritten((name) => sql`${columnOf(name)} = excluded.${columnOf(name)}`)}
        where ${differs(sql`excluded`)}
      returning ${WAS_INSERTED} as created
    )
    select count(*) filter (where created)::integer as created,
      count(*) filter (where not created)::integer as replaced
    from written`);
  return countsOf(rows, counted!);
}

/**
 * Waits for whoever writes these projects now, so that the next statement sees what they did to the
 * history. In the order of the ids, so that two imports do not deadlock.
 */
async function lockRows(db: Db, rows: ProjectRow[]): Promise<void> {
  const ids = rows.flatMap(({ id }) => id ?? []);
  if (ids.length === 0) return;
  await db.execute(
    sql`select from projects where id = any(${sql.param(ids)}::uuid[]) order by id for update`,
  );
}

/** Of a row of `given`, where `last` is the last change under its id. */
const FIRST_VERSION = sql`case
  when last.version is null then coalesce(given.version, 1)
  when changes_may_follow(last.version, last.action, last.before, given.version,
    project_document(jsonb_populate_record(null::projects, to_jsonb(given)))) then given.version
  else next_version(last.version)
end`;

/** What `importRows` would count if each id came once; writes nothing and locks nothing. */
export async function compareRows(db: Db, rows: ProjectRow[]): Promise<ImportCounts> {
  const [counted] = await db.execute<Written>(sql`
    select count(*) filter (where known.id is null)::integer as created,
      count(*) filter (where known.id is not null and ${differs(sql`given`)})::integer as replaced
    from ${given(rows)} left join projects as known on known.id = given.id`);
  return countsOf(rows, counted!);
}

type Written = { created: number; replaced: number };

function countsOf({ length }: ProjectRow[], { created, replaced }: Written): ImportCounts {
  return { created, replaced, unchanged: length - created - replaced };
}

function differs(row: SQL): SQL {
  const values = (of: SQL) => eachWritten((name) => sql`${of}.${columnOf(name)}`);
  return sql`(${values(sql`known`)}) is distinct from (${values(row)})`;
}

/** The rows as a table, a parameter for each column however many they are. */
function given(rows: ProjectRow[]): SQL {
  const array = (type: string, valueOf: (row: ProjectRow) => unknown) =>
    sql`${sql.param(rows.map((row) => valueOf(row) ?? null))}::${sql.raw(type)}[]`;
  const written = WRITTEN.map((name) =>
    array(arrayTypeOf(name), (row) => kindOf(name).toParameter(row[name])),
  );
  return sql`unnest(
      ${array('uuid', ({ id }) => id)}, ${sql.join(written, sql`, `)},
      ${array('timestamptz', ({ createdAt }) => createdAt)},
      ${array('timestamptz', ({ updatedAt }) => updatedAt)},
      ${array('integer', ({ version }) => version)}
    ) as given (id, ${eachWritten(columnOf)}, created_at, updated_at, version)`;
}

/** Without a length: what is too long is refused when it is stored, and not cut by the cast. */
function arrayTypeOf(name: keyof ProjectValues): string {
  return projects[name].getSQLType().replace(/^varchar.*/, 'text');
}
