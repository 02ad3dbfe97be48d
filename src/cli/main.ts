import { writeFile } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { databaseConfig, migrationJournal } from '../config/database-config.js';
import { databaseServer } from '../config/database-server.js';
import { type Environment, readEnvironment } from '../config/environment.js';
import { createDatabaseConnection, type Db, type TDatabaseConfig } from '../db/connection.js';
import { describeError } from '../db/explain-error.js';
import { EXPORT_FORMATS } from '../db/factories/projects/project-export.js';
import { migrate } from '../db/migrate.js';
import { describeFaults, migrationStatus } from '../db/migration-status.js';
import { Problem } from '../http/problems/problem.js';
import { drawDiagram } from './diagram.js';
import { writeOpenApi } from './openapi.js';
import { exportFile, type ExportFileOptions } from './export.js';
import { importFile, type ImportFileOptions } from './import.js';
import { interruptible } from './interruption.js';
import { KEY_SCOPES, printNewKey } from './key.js';
import { seed } from './seed.js';
import { complain, failWhenOutputFails, print, visible } from './terminal.js';

const program = new Command('projects-service').description(
  'The commands beside the service. They use DATABASE_URL, or the embedded PostgreSQL without it.',
);
program.configureOutput({ outputError: (text, write) => write(`${visible(text.trimEnd())}\n`) });
failWhenOutputFails();

program
  .command('migrate')
  .description('apply the pending migrations')
  .action(() => onDatabase(applyMigrations));

program
  .command('status')
  .description(
    'say which migrations are applied, pending, edited, missing or late; exit 1 unless all is well',
  )
  .action(() => onConnection(printStatus));

program
  .command('seed')
  .description('put a demonstration catalogue into the database; twice changes nothing')
  .action(() => onDatabase(plantCatalogue));

/** Of an option that may be given several times: one that took several values would take the file's name too. */
const repeated = (value: string, others: string[] = []) => [...others, value];

const formatOption = () =>
  new Option('--format <format>', 'what the file is; else its name says, or it is ndjson').choices(
    EXPORT_FORMATS,
  );

program
  .command('import')
  .description('import projects from a file; exit 1 if it has rows that are refused')
  .argument('<file>', 'NDJSON or CSV, with .gz packed; - reads the standard input')
  .addOption(formatOption())
  .addOption(
    new Option('--on-error <what>', 'what becomes of the others when a row is refused')
      .choices(['abort', 'skip'])
      .default('abort'),
  )
  .option('--dry-run', 'write nothing and say what would be')
  .action((file: string, options: ImportFileOptions) =>
    onConnection(async (db, signal) => {
      if (!(await importFile(db, file, { ...options, signal }))) process.exitCode = 1;
    }),
  );

program
  .command('export')
  .description('export projects to a file, with the filters and the order of the list')
  .argument('[file]', 'where to; - is the standard output', '-')
  .addOption(formatOption())
  .option('--technology <name>', 'only projects that use it; repeated: all of them', repeated)
  .option('--any-technology <name>', 'only projects that use it; repeated: one of them', repeated)
  .option('--q <words>', 'only projects with these words')
  .option('--created-from <moment>')
  .option('--created-to <moment>')
  .option('--updated-from <moment>')
  .option('--updated-to <moment>')
  .option('--sort <key>', 'createdAt, updatedAt or name; with - in front descending')
  .action((file: string, options: ExportFileOptions) =>
    onConnection((db, signal) => exportFile(db, file, { ...options, signal })),
  );

program
  .command('key')
  .description('manage API keys')
  .command('create')
  .description('make an API key and print it, once, with its entry for AUTH_API_KEYS')
  .argument('<name>', 'whose key it is; the history shows this name')
  .addOption(
    new Option('--scopes <scopes>', 'what its user may do').choices(KEY_SCOPES).default('read'),
  )
  .action((name: string, { scopes }: { scopes: string }) => printNewKey(name, scopes));

program
  .command('openapi')
  .description('write the OpenAPI document, as JSON and YAML')
  .argument('[directory]', 'where to', 'docs')
  .action(async (directory: string) => print(...(await writeOpenApi(directory))));

program
  .command('diagram')
  .description('draw the entity diagram')
  .argument('[file]', 'where to', 'docs/assets/database-diagram.png')
  .action(async (file: string) => {
    await writeFile(file, await drawDiagram());
    print(file);
  });

try {
  await program.parseAsync();
} catch (error) {
  complain(...(error instanceof Problem ? problemLines(error) : describeError(error).split('\n')));
  process.exitCode = (error as { exitCode?: number }).exitCode ?? 1;
}

/** Work that does not look at the signal is done to its end. */
type Work<T> = (on: T, signal: AbortSignal, environment: Environment) => Promise<void>;

async function onDatabase(work: Work<TDatabaseConfig>): Promise<void> {
  await interruptible(async (signal) => {
    const environment = await readEnvironment();
    const server = await databaseServer(environment);
    if (server.notice) complain(server.notice);
    try {
      signal.throwIfAborted();
      const config = databaseConfig({ ...environment, DATABASE_URL: server.url });
      await work(config, signal, environment);
    } finally {
      await server.stop();
    }
  });
}

async function onConnection(work: Work<Db>): Promise<void> {
  await onDatabase(async (config, signal, environment) => {
    const { db, close } = createDatabaseConnection(config);
    try {
      await work(db, signal, environment);
    } finally {
      await close();
    }
  });
}

async function applyMigrations(
  config: TDatabaseConfig,
  signal: AbortSignal,
  environment: Environment,
): Promise<void> {
  const applied = await migrate(config, { journal: migrationJournal(environment), signal });
  print(applied.length > 0 ? `applied ${applied.join(', ')}` : 'nothing to apply');
}

async function printStatus(db: Db, _signal: AbortSignal, environment: Environment): Promise<void> {
  const status = await migrationStatus(db, { journal: migrationJournal(environment) });
  const faults = describeFaults(status);
  print(`applied: ${status.applied.join(', ') || 'none'}`);
  print(...faults);
  if (faults.length > 0) process.exitCode = 1;
}

async function plantCatalogue(
  config: TDatabaseConfig,
  signal: AbortSignal,
  environment: Environment,
): Promise<void> {
  await migrate(config, { journal: migrationJournal(environment), signal });
  const { db, close } = createDatabaseConnection(config);
  try {
    const { created, present } = await seed(db);
    print(`${created} projects created, ${present} were there`);
  } finally {
    await close();
  }
}

function problemLines({ detail, extra }: Problem): string[] {
  const faults = (extra.errors ?? []).map(({ path, message }) => `  ${path} ${message}`.trimEnd());
  return [detail, ...faults];
}
