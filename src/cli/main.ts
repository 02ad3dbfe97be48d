import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { databaseConfig } from '../config/database-config.js';
import { databaseServer } from '../config/database-server.js';
import { readEnvironment } from '../config/environment.js';
import { createDatabaseConnection, type TDatabaseConfig } from '../db/connection.js';
import { asDataError, errorCodeOf } from '../db/errors.js';
import { describeFaults, migrate, migrationStatus } from '../db/migrate.js';
import { drawDiagram } from './diagram.js';
import { writeOpenApi } from './openapi.js';
import { seed } from './seed.js';

const program = new Command('projects-service').description(
  'The commands beside the service. They use DATABASE_URL, or the embedded PostgreSQL without it.',
);

program
  .command('migrate')
  .description('apply the pending migrations')
  .action(() => onDatabase(applyMigrations));

program
  .command('status')
  .description(
    'say which migrations are applied, pending, edited, missing or late; exit 1 unless all is well',
  )
  .action(() => onDatabase(printStatus));

program
  .command('seed')
  .description('put a demonstration catalogue into the database; twice changes nothing')
  .action(() => onDatabase(plantCatalogue));

program
  .command('openapi')
  .description('write the OpenAPI document, as JSON and YAML')
  .argument('[directory]', 'where to', 'docs')
  .action(async (directory: string) => console.log((await writeOpenApi(directory)).join('\n')));

program
  .command('diagram')
  .description('draw the entity diagram')
  .argument('[file]', 'where to', 'docs/assets/database-diagram.png')
  .action(async (file: string) => {
    await writeFile(file, await drawDiagram());
    console.log(file);
  });

try {
  await program.parseAsync();
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = (error as { exitCode?: number }).exitCode ?? 1;
}

async function onDatabase(work: (config: TDatabaseConfig) => Promise<void>): Promise<void> {
  const environment = await readEnvironment();
  const server = await databaseServer(environment);
  try {
    await work(databaseConfig({ ...environment, DATABASE_URL: server.url }));
  } finally {
    await server.stop();
  }
}

async function applyMigrations(config: TDatabaseConfig): Promise<void> {
  const applied = await migrate(config);
  console.log(applied.length > 0 ? `applied ${applied.join(', ')}` : 'nothing to apply');
}

async function printStatus(config: TDatabaseConfig): Promise<void> {
  const { db, close } = createDatabaseConnection(config);
  try {
    const status = await migrationStatus(db);
    const faults = describeFaults(status);
    console.log(`applied: ${status.applied.join(', ') || 'none'}`);
    for (const fault of faults) console.log(fault);
    process.exitCode = faults.length > 0 ? 1 : 0;
  } finally {
    await close();
  }
}

async function plantCatalogue(config: TDatabaseConfig): Promise<void> {
  await migrate(config);
  const { db, close } = createDatabaseConnection(config);
  try {
    const { created, present } = await seed(db);
    console.log(`${created} projects created, ${present} were there`);
  } finally {
    await close();
  }
}

/** An error of the database is told by what it means and its code; its own message holds the statement. */
function messageOf(error: unknown): string {
  const dataError = asDataError(error);
  if (!dataError) return error instanceof Error ? error.message : String(error);
  const code = errorCodeOf(error);
  return code ? `${dataError.message} (${code})` : dataError.message;
}
