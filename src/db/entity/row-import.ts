import { type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { withDefaults } from './defaults.js';
import type { Entity, EntityRow } from './entity.js';
import { WAS_INSERTED } from './first-version.js';
import { castTypeOf, toArrayOf } from './cast-type.js';
import { quoteLiteral } from './quoting.js';
import { columnOf, writtenKinds } from './written-columns.js';

/** One row of an import. With an id it replaces the row, or creates it with that id. */
export type ImportRow<Values extends object = object> = Values & {
  id?: string;
  /**
   * The initial values of a created row: by default the current time, and the first version after its history. If the
   * history already has the given version, the next one is used, unless this restores a deleted row exactly as it was.
   * An existing row keeps its own values.
   */
  createdAt?: string;
  updatedAt?: string;
  version?: number;
};

export interface ImportCounts {
  created: number;
  replaced: number;
  /** Rows that are equal to what is stored. They are not written, and the version does not change. */
  unchanged: number;
}

/**
 * Writes the rows in one statement. No two rows may have the same id. Throws `invalid_value`, `already_exists`,
 * `conflict`, `statement_timeout`.
 */
export async function importRows<Row extends EntityRow, Values extends object>(
  db: Db,
  entity: Entity<Row, Values>,
  rows: ImportRow<Values>[],
): Promise<ImportCounts> {
  await lockRows(db, entity, rows);
  const name = sql.raw(quoteLiteral(entity.name));
  const columns = eachWritten(entity, (column) => column);
  const [counted] = await db.execute<Written>(sql`
    with written as (
      insert into ${entity.table} as known (id, ${columns}, created_at, updated_at, version)
      select coalesce(given.id, gen_random_uuid()), ${columns},
        coalesce(created_at, now()), coalesce(updated_at, now()), ${firstVersionOf(entity)}
      from ${given(entity, rows)} left join lateral (
        select version, action, before from changes where entity_id = given.id and entity = ${name}
        order by sequence desc limit 1
      ) as last on true
      on conflict (id) do update
        set ${eachWritten(entity, (column) => sql`${column} = excluded.${column}`)}
        where ${differs(entity, sql`excluded`)}
      returning ${WAS_INSERTED} as created
    )
    select count(*) filter (where created)::integer as created,
      count(*) filter (where not created)::integer as replaced
    from written`);
  return countsOf(rows, counted!);
}

/**
 * Waits for transactions that write these rows, so that the next statement sees their changes in the history. Rows are
 * locked in the order of the ids, so that two imports do not deadlock.
 */
async function lockRows(db: Db, { table }: Entity, rows: ImportRow[]): Promise<void> {
  const ids = rows.flatMap(({ id }) => id ?? []);
  if (ids.length === 0) return;
  await db.execute(
    sql`select from ${table} where id = any(${sql.param(ids)}::uuid[]) order by id for update`,
  );
}

/** Returns the initial version of a row of `given`; `last` is the last change with its id. */
function firstVersionOf({ name, table }: Entity): SQL {
  return sql`case
    when last.version is null then coalesce(given.version, 1)
    when changes_may_follow(last.version, last.action, last.before, given.version,
      ${sql.identifier(`${name}_document`)}(jsonb_populate_record(null::${table}, to_jsonb(given)))) then given.version
    else next_version(last.version)
  end`;
}

/** Returns the counts of `importRows` for distinct ids, without writing or locking anything. */
export async function compareRows<Row extends EntityRow, Values extends object>(
  db: Db,
  entity: Entity<Row, Values>,
  rows: ImportRow<Values>[],
): Promise<ImportCounts> {
  const [counted] = await db.execute<Written>(sql`
    select count(*) filter (where known.id is null)::integer as created,
      count(*) filter (where known.id is not null and ${differs(entity, sql`given`)})::integer as replaced
    from ${given(entity, rows)} left join ${entity.table} as known on known.id = given.id`);
  return countsOf(rows, counted!);
}

type Written = { created: number; replaced: number };

function countsOf({ length }: ImportRow[], { created, replaced }: Written): ImportCounts {
  return { created, replaced, unchanged: length - created - replaced };
}

function differs(entity: Entity, row: SQL): SQL {
  const values = (of: SQL) => eachWritten(entity, (column) => sql`${of}.${column}`);
  return sql`(${values(sql`known`)}) is distinct from (${values(row)})`;
}

/** Returns the rows as an SQL table, with one array parameter per column for any number of rows. */
function given(entity: Entity, incomplete: ImportRow[]): SQL {
  const rows = incomplete.map((row) => withDefaults(entity, row));
  const array = (type: string, valueOf: (row: ImportRow) => unknown) =>
    toArrayOf(type, sql.param(rows.map((row) => valueOf(row) ?? null)));
  const written = writtenKinds(entity).map(([name, kind]) =>
    array(castTypeOf(entity.columns[name]!), (row) => {
      const value: unknown = row[name as never];
      return value == null ? null : kind.toParameter(value);
    }),
  );
  return sql`unnest(
      ${array('uuid', ({ id }) => id)}, ${sql.join(written, sql`, `)},
      ${array('timestamptz', ({ createdAt }) => createdAt)},
      ${array('timestamptz', ({ updatedAt }) => updatedAt)},
      ${array('integer', ({ version }) => version)}
    ) as given (id, ${eachWritten(entity, (column) => column)}, created_at, updated_at, version)`;
}

/** Returns an SQL list of the written columns, each formatted by `form`. */
function eachWritten(entity: Entity, form: (column: SQL) => SQL): SQL {
  return sql.join(
    entity.written.map((name) => form(columnOf(entity, name))),
    sql`, `,
  );
}
