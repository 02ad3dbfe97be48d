import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { getTableName, is, sql } from 'drizzle-orm';
import { PgTable } from 'drizzle-orm/pg-core';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import type { Db } from './connection.js';
import { ExplainedError } from './explain-error.js';
import {
  type AppliedMigration,
  findJournal,
  type Journal,
  type JournalName,
  readApplied,
} from './migration-journal.js';
import * as schema from './schema.js';

const MIGRATIONS_FOLDER = path.join(path.dirname(fileURLToPath(import.meta.url)), 'migrations');

export interface MigrationSource {
  /** The folder with the migrations; default: those of this package. */
  folder?: string;
  journal?: JournalName;
}

export interface Migration extends AppliedMigration {
  name: string;
  statements: string[];
}

/**
 * The comparison of the migrations of this version with those applied to a database, by name.
 *
 * - `pending`: not applied yet
 * - `edited`: applied, and its file has changed since
 * - `missing`: applied, and there is no such file (named by the time it was stamped)
 * - `newer`: the same, but stamped later than all of these: a newer version has migrated the database, and this version
 *   can still use it
 * - `late`: not applied, and stamped earlier than an applied one, for example after a merge. Drizzle's own
 *   migrator would skip it silently
 * - `absent`: tables that the session does not find although nothing is pending: they were dropped, or the
 *   search path is wrong
 * - `unrecorded`: tables that exist although no migration was applied: they belong to another application, or
 *   to a version from before the first release
 */
export interface MigrationStatus {
  applied: string[];
  pending: string[];
  edited: string[];
  missing: string[];
  newer: string[];
  late: string[];
  absent: string[];
  unrecorded: string[];
}

const HINTS: Partial<Record<keyof MigrationStatus, string>> = {
  missing:
    'they belong to another version, or to another application: the migrations of each application need a `journal` of their own',
  newer:
    'a newer version has migrated the database; or another application uses the same journal, and then each needs a `journal` of its own',
  absent: 'check search_path in the database URL',
  unrecorded:
    'if they belong to another application, give this service its own schema: create schema catalogue, and ?search_path=catalogue,public in the database URL; if they were made by a version from before the first release, export the projects with that version and import them into a new database',
};

/** Thrown if the database and the migrations contradict each other. Nothing was applied. */
export class MigrationError extends ExplainedError {
  override readonly name = 'MigrationError';

  constructor(readonly status: MigrationStatus) {
    super(
      `The database and the migrations of this version contradict each other: ${describeFaults(status).join('; ')}.`,
    );
  }
}

/** Returns the reasons why this version cannot use the database, one line each; empty if there are none. */
export function describeFaults(status: MigrationStatus): string[] {
  return (['edited', 'missing', 'newer', 'late', 'absent', 'unrecorded', 'pending'] as const)
    .filter((fault) => status[fault].length > 0)
    .map((fault) => {
      const hint = HINTS[fault] ? ` (${HINTS[fault]})` : '';
      const isOfTables = fault === 'absent' || fault === 'unrecorded';
      const label = isOfTables ? `${fault} tables` : fault;
      return `${label}: ${status[fault].join(', ')}${hint}`;
    });
}

/** True if there are faults that the pending migrations would not repair. */
export function isContradictory({ applied: _, pending: __, ...faults }: MigrationStatus): boolean {
  return Object.values(faults).some((names) => names.length > 0);
}

/** Compares the migrations with the database. It only reads, so it works with a read-only role and on a standby. */
export async function migrationStatus(
  db: Db,
  { folder, journal: name }: MigrationSource = {},
): Promise<MigrationStatus> {
  return await compareWith(db, readMigrations(folder), await findJournal(db, name));
}

/** Reads the migrations of a folder, in the order in which they are applied. */
export function readMigrations(folder = MIGRATIONS_FOLDER): Migration[] {
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

/** Compares the migrations with a journal and with the tables of the database. */
export async function compareWith(
  db: Db,
  migrations: Migration[],
  journal: Journal,
): Promise<MigrationStatus> {
  const status = compare(migrations, await readApplied(db, journal));
  const tables = await findTables(db, createdTables(migrations));
  const isOurs = ({ schema }: FoundTable) => !journal.besideTables || schema === journal.schema;
  const namesOf = (some: FoundTable[]) => some.map(({ name }) => name);
  // While migrations are pending, a table may belong to one of them.
  if (status.pending.length === 0) {
    status.absent = namesOf(tables.filter((table) => table.schema === null || !isOurs(table)));
  }
  if (status.applied.length === 0) {
    status.unrecorded = namesOf(tables.filter((table) => table.inFirstSchema));
  }
  return status;
}

function compare(migrations: Migration[], applied: AppliedMigration[]): MigrationStatus {
  const status: MigrationStatus = {
    applied: [],
    pending: [],
    edited: [],
    missing: [],
    newer: [],
    late: [],
    absent: [],
    unrecorded: [],
  };
  const appliedByStamp = new Map(applied.map((row) => [row.stampedAt, row.hash]));
  const newest = Math.max(...applied.map((row) => row.stampedAt), -Infinity);
  for (const { name, hash, stampedAt } of migrations) {
    const appliedHash = appliedByStamp.get(stampedAt);
    if (appliedHash === hash) status.applied.push(name);
    else if (appliedHash !== undefined) status.edited.push(name);
    else if (stampedAt < newest) status.late.push(name);
    else status.pending.push(name);
  }
  const known = migrations.map(({ stampedAt }) => stampedAt);
  for (const { stampedAt } of applied) {
    if (known.includes(stampedAt)) continue;
    const isNewer = stampedAt > Math.max(...known);
    status[isNewer ? 'newer' : 'missing'].push(`stamped ${new Date(stampedAt).toISOString()}`);
  }
  return status;
}

interface FoundTable {
  name: string;
  /** The schema in which the session finds it; null if it does not. */
  schema: string | null;
  /** True if it is in the schema where a migration would create it. */
  inFirstSchema: boolean;
}

/** Returns the tables of this package that the migrations create. Those of a host application create none of them. */
function createdTables(migrations: Migration[]): string[] {
  const text = migrations.flatMap(({ statements }) => statements).join('\n');
  return Object.values(schema)
    .filter((table) => is(table, PgTable))
    .map(getTableName)
    .filter((name) => text.includes(`CREATE TABLE "${name}" (`));
}

async function findTables(db: Db, names: string[]): Promise<FoundTable[]> {
  return await db.execute<FoundTable & Record<string, unknown>>(sql`
    select name, nspname as schema, coalesce(nspname = current_schema(), false) as "inFirstSchema"
    from unnest(${sql.param(names)}::text[]) as name
    left join pg_catalog.pg_class on pg_class.oid = to_regclass(quote_ident(name))
    left join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace
    order by name`);
}
