import { migrationJournal } from '../config/database-config.js';
import { createDatabaseConnection, type Db, type TDatabaseConfig } from '../db/connection.js';
import { migrate } from '../db/migrate.js';
import { describeFaults, migrationStatus } from '../db/migration-status.js';
import { seed } from './seed.js';
import { print } from './terminal.js';
import type { WorkContext } from './work.js';

export async function applyMigrations(
  config: TDatabaseConfig,
  { environment, streams, signal }: WorkContext,
): Promise<void> {
  const applied = await migrate(config, { journal: migrationJournal(environment), signal });
  print(streams.output, applied.length > 0 ? `applied ${applied.join(', ')}` : 'nothing to apply');
}

/** Prints the state of the migrations. Resolves with true if the database has exactly these migrations. */
export async function printStatus(db: Db, { environment, streams }: WorkContext): Promise<boolean> {
  const status = await migrationStatus(db, { journal: migrationJournal(environment) });
  const faults = describeFaults(status);
  print(streams.output, `applied: ${status.applied.join(', ') || 'none'}`, ...faults);
  return faults.length === 0;
}

export async function seedCatalogue(
  config: TDatabaseConfig,
  { environment, streams, signal }: WorkContext,
): Promise<void> {
  await migrate(config, { journal: migrationJournal(environment), signal });
  const { db, close } = createDatabaseConnection(config);
  try {
    const { created, present } = await seed(db);
    print(streams.output, `${created} projects created, ${present} existed already`);
  } finally {
    await close();
  }
}
