import { setTimeout } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { createDatabaseConnection, type Db, type TDatabaseConfig } from './connection.js';
import { asDataError } from './errors.js';
import { describeError, ExplainedError } from './explain-error.js';
import { createJournal, findJournal, type Journal, recordApplied } from './migration-journal.js';
import {
  compareWith,
  isContradictory,
  type Migration,
  MigrationError,
  type MigrationSource,
  readMigrations,
} from './migration-status.js';

/** The transaction-level advisory lock under which migrations run: 'migrate' in ASCII. */
const LOCK_KEY = 0x6d696772617465n;

/** Requests queue behind a migration that waits for a lock, so it waits no longer than this. */
const LOCK_TIMEOUT_MS = 100;
/** Another process may migrate for minutes. No request queues behind this wait. */
const TURN_TIMEOUT_MS = 5000;
const RETRY_PAUSE_MS = 1000;

export interface MigrateOptions extends MigrationSource {
  /** Aborts the migration and its running statement immediately, and rolls everything back. */
  signal?: AbortSignal;
  /** Called each time when the migration cannot get a lock and will retry. Default: prints a warning. */
  onWait?: (message: string) => void;
}

/**
 * Applies the pending migrations in one transaction and resolves with their names. A host application applies its own
 * migrations by a second call, with their `folder` and a `journal` of their own.
 *
 * Any number of processes may call it at the same time: an advisory lock lets one of them run. The others wait
 * for it and then find nothing to do. If nothing is pending, it needs only the right to read the journal.
 *
 * A migration that needs a lock on a table in use waits for it at most 100 ms, because requests queue behind
 * it meanwhile. Then it rolls back and retries a second later, until the signal is aborted.
 *
 * Throws MigrationError, before anything is applied, if a migration is edited, missing, newer or late. Throws the
 * error of the database if a migration fails, after rolling everything back. Throws the reason of the signal
 * if it is aborted.
 */
export async function migrate(
  config: TDatabaseConfig,
  options: MigrateOptions = {},
): Promise<string[]> {
  const { signal } = options;
  signal?.throwIfAborted();
  const { db, close } = createDatabaseConnection({
    ...config,
    max: 1,
    acquire_timeout_ms: 0, // the pool has no other users; connect_timeout limits the wait for the server
    statement_timeout_ms: 0,
    transaction_timeout_ms: 0,
    application_name: 'projects-service migrate',
  });
  const abort = () => void close(0);
  signal?.addEventListener('abort', abort);
  try {
    return await untilUnlocked(() => attempt(db, options), options);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', abort);
    await close();
  }
}

/** Retries work that the database cancelled because of a lock or a deadlock. */
async function untilUnlocked<T>(
  work: () => Promise<T>,
  { signal, onWait = console.warn }: MigrateOptions,
): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted || asDataError(error)?.code !== 'conflict') throw error;
      onWait(
        `The migration waits for another session that uses its tables or is migrating; it retries every ${RETRY_PAUSE_MS / 1000} s.`,
      );
      await setTimeout(RETRY_PAUSE_MS, undefined, { signal });
    }
  }
}

async function attempt(db: Db, { folder, journal: name }: MigrateOptions): Promise<string[]> {
  const migrations = readMigrations(folder);
  // With read committed, statements after the lock see everything that its last holder has committed.
  return await db.transaction(
    async (tx) => {
      await liftLimits(tx);
      await waitAtMost(tx, TURN_TIMEOUT_MS);
      await tx.execute(sql`select pg_advisory_xact_lock(${LOCK_KEY})`);
      await waitAtMost(tx, LOCK_TIMEOUT_MS);
      await requireUtf8(tx);
      const journal = await findJournal(tx, name);
      const status = await compareWith(tx, migrations, journal);
      if (isContradictory(status)) throw new MigrationError(status);
      const pending = migrations.filter((migration) => status.pending.includes(migration.name));
      if (pending.length > 0) await apply(tx, journal, pending);
      return status.pending;
    },
    { isolationLevel: 'read committed', accessMode: 'read write' },
  );
}

/**
 * Removes limits of the role, the database or the pooler that are meant for requests. Also lets the server
 * cancel the statement as soon as the client has disconnected, if it supports this.
 */
async function liftLimits(tx: Db): Promise<void> {
  await tx.execute(sql`
    select set_config(name, '0', true) from pg_catalog.pg_settings
    where name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`);
  await tx.execute(sql`
    do $$ begin
      perform set_config('client_connection_check_interval', '1s', true);
    exception when others then null; end $$`);
}

async function waitAtMost(tx: Db, lockTimeoutMs: number): Promise<void> {
  await tx.execute(sql`select set_config('lock_timeout', ${String(lockTimeoutMs)}, true)`);
}

/** Checks the encoding of the database: lengths, words and the order of names in this service assume UTF-8. */
async function requireUtf8(tx: Db): Promise<void> {
  const [row] = await tx.execute<{ name: string; encoding: string }>(
    sql`select current_database() as name, getdatabaseencoding() as encoding`,
  );
  const { name, encoding } = row!;
  if (encoding === 'UTF8') return;
  throw new ExplainedError(
    `The database "${name}" has the encoding ${encoding}; the service needs UTF8. ` +
      `Create another one (create database … template template0 encoding 'UTF8'), move the data with pg_dump, and change the database URL.`,
  );
}

async function apply(tx: Db, journal: Journal, pending: Migration[]): Promise<void> {
  await createJournal(tx, journal);
  await setSearchPath(tx, journal);
  for (const migration of pending) {
    try {
      for (const statement of migration.statements) await tx.execute(sql.raw(statement));
    } catch (error) {
      const message = `The migration ${migration.name} failed: ${describeError(error)}`;
      throw new ExplainedError(message, { cause: error });
    }
    await recordApplied(tx, journal, migration);
  }
  await refreshTracking(tx);
}

/** Lets the history record the current columns of changed tables. A host's database may lack the function. */
async function refreshTracking(tx: Db): Promise<void> {
  const [row] = await tx.execute<{ exists: boolean }>(
    sql`select to_regprocedure('refresh_tracking()') is not null as exists`,
  );
  if (row!.exists) await tx.execute(sql`select refresh_tracking()`);
}

/**
 * Sets the search path for migrations: first the schema in which tables are created, then the other schemas
 * of the session, those of extensions (which the migrations of another schema may have installed), and
 * temporary tables last. Functions may keep it (SET search_path FROM CURRENT).
 */
async function setSearchPath(tx: Db, { besideTables, schema }: Journal): Promise<void> {
  const first = besideTables ? schema : null;
  await tx.execute(sql`
    with found (name, place) as (
      select ${first}::text, 0
      union all select name, place from unnest(current_schemas(false)) with ordinality as path (name, place)
      union all select nspname, 10000 from pg_catalog.pg_extension
        join pg_catalog.pg_namespace on pg_namespace.oid = extnamespace
        where has_schema_privilege(pg_namespace.oid, 'usage') and nspname <> 'pg_catalog'
      union all select 'pg_temp', 10001
    ), path as (select name, min(place) as place from found where name is not null group by name)
    select set_config('search_path', string_agg(quote_ident(name), ', ' order by place, name), true)
    from path`);
}
