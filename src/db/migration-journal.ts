import { sql, type SQL } from 'drizzle-orm';
import type { Db } from './connection.js';

/** The table that records the applied migrations. No other application may use the same table. */
export interface JournalName {
  /**
   * Default: the schema of the search path that has the table, otherwise the first schema of the
   * search path. So each schema with the tables of this service has its own journal.
   */
  schema?: string;
  /** Default: `projects_service_migrations`. */
  table?: string;
}

/** The journal that the session finds. */
export interface Journal {
  /** Null when no schema of the search path exists. */
  schema: string | null;
  table: string;
  exists: boolean;
  /** True if the tables of the migrations are in the same schema; false if the schema was given, so that this is unknown. */
  besideTables: boolean;
}

export interface AppliedMigration {
  hash: string;
  /** Milliseconds since the epoch, as in the file of the migrations. */
  stampedAt: number;
}

/** The configuration of drizzle-kit names the same table. */
const DEFAULT_JOURNAL_TABLE = 'projects_service_migrations';

/** Finds the journal by the search path of the session. Creates nothing. */
export async function findJournal(db: Db, name: JournalName = {}): Promise<Journal> {
  const { schema, table = DEFAULT_JOURNAL_TABLE } = name;
  const qualified =
    schema === undefined
      ? sql`quote_ident(${table})`
      : sql`format('%I.%I', ${schema}::text, ${table}::text)`;
  const [found] = await db.execute<{ schema: string | null; exists: boolean }>(sql`
    select coalesce(nspname, ${schema ?? null}::text, current_schema()) as schema,
           nspname is not null as exists
    from (select to_regclass(${qualified}) as oid) as sought
    left join pg_catalog.pg_class using (oid)
    left join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace`);
  return { ...found!, table, besideTables: schema === undefined };
}

/** Returns the applied migrations, the oldest first. */
export async function readApplied(db: Db, journal: Journal): Promise<AppliedMigration[]> {
  if (!journal.exists) return [];
  const rows = await db.execute<{ hash: string; created_at: string }>(
    sql`select hash, created_at from ${identifierOf(journal)} order by created_at`,
  );
  return rows.map((row) => ({ hash: row.hash, stampedAt: Number(row.created_at) }));
}

/**
 * Creates the journal unless it exists, with the columns that drizzle-kit expects. Every role may read it, so
 * that a role with rights only on the tables can check whether they are up to date.
 */
export async function createJournal(db: Db, journal: Journal): Promise<void> {
  if (journal.exists) return;
  const { schema } = journal;
  if (schema !== null && !(await schemaExists(db, schema))) {
    await db.execute(sql`create schema ${sql.identifier(schema)}`);
    await db.execute(sql`grant usage on schema ${sql.identifier(schema)} to public`);
  }
  await db.execute(sql`
    create table ${identifierOf(journal)} (id serial primary key, hash text not null, created_at bigint)`);
  await db.execute(sql`grant select on ${identifierOf(journal)} to public`);
}

export async function recordApplied(
  db: Db,
  journal: Journal,
  { hash, stampedAt }: AppliedMigration,
): Promise<void> {
  await db.execute(
    sql`insert into ${identifierOf(journal)} (hash, created_at) values (${hash}, ${stampedAt})`,
  );
}

async function schemaExists(db: Db, schema: string): Promise<boolean> {
  const found = await db.execute(
    sql`select from pg_catalog.pg_namespace where nspname = ${schema}`,
  );
  return found.length > 0;
}

function identifierOf({ schema, table }: Journal): SQL {
  return schema === null
    ? sql`${sql.identifier(table)}`
    : sql`${sql.identifier(schema)}.${sql.identifier(table)}`;
}
