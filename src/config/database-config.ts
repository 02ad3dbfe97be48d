import type { TDatabaseConfig } from '../db/connection.js';
import type { JournalName } from '../db/migration-journal.js';
import type { Environment } from './environment.js';
import { replicaUrlsOf } from './derived-settings.js';

/** Returns the settings of the database connection from the environment. */
export function databaseConfig(environment: Environment): TDatabaseConfig {
  return {
    url: environment.DATABASE_URL!,
    max: environment.DATABASE_MAX_CONNECTIONS,
    idle_timeout: environment.DATABASE_IDLE_TIMEOUT,
    connect_timeout: environment.DATABASE_CONNECT_TIMEOUT,
    statement_timeout_ms: environment.DATABASE_STATEMENT_TIMEOUT_MS,
    acquire_timeout_ms: environment.DATABASE_ACQUIRE_TIMEOUT_MS,
    prepare: environment.DATABASE_PREPARE,
  };
}

/** Returns the settings of the read replicas. Except for the URL they are those of the primary. */
export function replicasConfig(environment: Environment) {
  const primary = databaseConfig(environment);
  return {
    configs: replicaUrlsOf(environment).map((url) => ({ ...primary, url })),
    maxLagMs: environment.DATABASE_REPLICA_MAX_LAG_MS,
  };
}

/** Returns the schema and the table that record the applied migrations. */
export function migrationJournal(environment: Environment): JournalName {
  return { schema: environment.MIGRATIONS_SCHEMA, table: environment.MIGRATIONS_TABLE };
}
