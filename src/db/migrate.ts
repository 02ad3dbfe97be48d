import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { createDatabaseConnection, type Db, type TDatabaseConfig } from './connection.js';
import { errorCodeOf } from './errors.js';

const MIGRATIONS_FOLDER = path.join(path.dirname(fileURLToPath(import.meta.url)), 'migrations');

/** The transaction-level advisory lock under which migrations run: 'migrate' in ASCII. */
const LOCK_KEY = 0x6d696772617465n;

const BEFORE_FIRST_RELEASE =
  'by a version from before the first release; export its projects with that version and import them into a new database';

interface Migration {
  name: string;
  hash: string;
  /** Milliseconds since the epoch, from the journal: the order of the migrations. */
  stampedAt: number;
  statements: string[];
}

interface AppliedMigration {
  hash: string;
  stampedAt: number;
}

/**
 * How the migrations of this code and those applied to a database compare, by name.
 *
 * - `pending`: not applied yet
 * - `edited`: applied, and its file has changed since
 * - `missing`: applied, and there is no such file (named by the time it was stamped). One from before the
 *   first migration of this code comes from a development version, whose migrations were replaced
 * - `late`: not applied, and stamped earlier than one that is: a merged branch, which drizzle's own
 *   migrator would skip without a word
 */
export interface MigrationStatus {
  applied: string[];
  pending: string[];
  edited: string[];
  missing: string[];
  late: string[];
}

/** A database whose migrations contradict this code. Nothing was applied. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';

  constructor(readonly status: MigrationStatus) {
    super(
      `The database and the migrations of this code contradict each other: ${describeFaults(status).join('; ')}.`,
    );
  }
}

/** What keeps a database from being used with this code, a line each; empty when all is well. */
export function describeFaults(status: MigrationStatus): string[] {
  return (['edited', 'missing', 'late', 'pending'] as const)
    .filter((fault) => status[fault].length > 0)
    .map((fault) => `${fault}: ${status[fault].join(', ')}`);
}

export interface MigrateOptions {
  folder?: string;
  /** Gives up: what runs has five more seconds to finish, or nothing of it stands. */
  signal?: AbortSignal;
}

/**
 * Applies the pending migrations, all in one transaction, and resolves with their names. Any number
 * of processes may call it at once: an advisory lock lets one of them through and the others find
 * nothing to do. Throws MigrationError before anything is applied when a migration is edited,
 * missing or late, and whatever the database says of a failing one, which leaves nothing behind.
 */
export async function migrate(
  config: TDatabaseConfig,
  { folder = MIGRATIONS_FOLDER, signal }: MigrateOptions = {},
): Promise<string[]> {
  const { db, close } = createDatabaseConnection({
    ...config,
    max: 1,
    acquire_timeout_ms: 0, // there is nobody to wait for but the server, and connect_timeout for that
    statement_timeout_ms: 0,
    transaction_timeout_ms: 0,
    application_name: 'projects-service migrate',
  });
  const abort = () => void close();
  signal?.addEventListener('abort', abort);
  try {
    return await db.transaction(async (tx) => {
      await tx.execute(sql`select pg_advisory_xact_lock(${LOCK_KEY})`);
      await createJournal(tx);
      const migrations = readMigrations(folder);
      const status = compare(migrations, await readApplied(tx));
      if (status.edited.length + status.missing.length + status.late.length > 0) {
        throw new MigrationError(status);
      }
      for (const migration of migrations.filter(({ name }) => status.pending.includes(name))) {
        await apply(tx, migration);
      }
      return status.pending;
    });
  } finally {
    signal?.removeEventListener('abort', abort);
    await close();
  }
}

/** Reads and changes nothing, so that a read-only role or a standby can ask. */
export async function migrationStatus(
  db: Db,
  folder = MIGRATIONS_FOLDER,
): Promise<MigrationStatus> {
  return compare(readMigrations(folder), await readApplied(db));
}

function readMigrations(folder: string): Migration[] {
  const journal = JSON.parse(readFileSync(path.join(folder, 'meta/_journal.json'), 'utf8')) as {
    entries: { tag: string }[];
  };
  return readMigrationFiles({ migrationsFolder: folder }).map((file, index) => ({
    name: journal.entries[index]!.tag,
    hash: file.hash,
    stampedAt: file.folderMillis,
    statements: file.sql,
  }));
}

/** drizzle's own journal, so that `drizzle-kit migrate` and this code agree on what is applied. */
async function createJournal(db: Db): Promise<void> {
  await db.execute(sql`create schema if not exists drizzle`);
  await db.execute(sql`
    create table if not exists drizzle.__drizzle_migrations
      (id serial primary key, hash text not null, created_at bigint)`);
}

async function readApplied(db: Db): Promise<AppliedMigration[]> {
  try {
    const rows = await db.execute<{ hash: string; created_at: string }>(
      sql`select hash, created_at from drizzle.__drizzle_migrations order by created_at`,
    );
    return rows.map((row) => ({ hash: row.hash, stampedAt: Number(row.created_at) }));
  } catch (error) {
    const noSuchTable = ['42P01', '3F000'].includes(errorCodeOf(error) ?? '');
    if (noSuchTable) return [];
    throw error;
  }
}

function compare(migrations: Migration[], applied: AppliedMigration[]): MigrationStatus {
  const status: MigrationStatus = { applied: [], pending: [], edited: [], missing: [], late: [] };
  const appliedByStamp = new Map(applied.map((row) => [row.stampedAt, row.hash]));
  const newest = Math.max(...applied.map((row) => row.stampedAt), -Infinity);
  for (const { name, hash, stampedAt } of migrations) {
    const appliedHash = appliedByStamp.get(stampedAt);
    if (appliedHash === hash) status.applied.push(name);
    else if (appliedHash !== undefined) status.edited.push(name);
    else if (stampedAt < newest) status.late.push(name);
    else status.pending.push(name);
  }
  const known = new Set(migrations.map(({ stampedAt }) => stampedAt));
  const first = Math.min(...known);
  status.missing = applied
    .filter(({ stampedAt }) => !known.has(stampedAt))
    .map(({ stampedAt }) => {
      const stamp = `stamped ${new Date(stampedAt).toISOString()}`;
      return stampedAt < first ? `${stamp} (${BEFORE_FIRST_RELEASE})` : stamp;
    });
  return status;
}

async function apply(db: Db, { hash, stampedAt, statements }: Migration): Promise<void> {
  for (const statement of statements) await db.execute(sql.raw(statement));
  await db.execute(
    sql`insert into drizzle.__drizzle_migrations (hash, created_at) values (${hash}, ${stampedAt})`,
  );
}
