import { writeFile } from 'node:fs/promises';
import { Command, CommanderError, Option } from 'commander';
import { describeError } from '../db/explain-error.js';
import { EXPORT_FORMATS } from '../db/entity/row-export.js';
import { Problem } from '../http/problems/problem.js';
import { DELIMITER_NAMES } from '../entities/transfer/csv-cells.js';
import { applyMigrations, plantCatalogue, printStatus } from './database-commands.js';
import { exportFile, type ExportFileOptions } from './export.js';
import { importFile, type ImportFileOptions } from './import.js';
import { KEY_SCOPES, printNewKey } from './key.js';
import { print, visible } from './terminal.js';
import { type CommandContext, onConnection, onDatabase } from './work.js';

/**
 * Runs the command that these words name and resolves with its exit code, with the errors printed. Several may run in
 * one process: the streams, the environment and the signals are arguments.
 */
export async function runCommand(words: string[], context: CommandContext): Promise<number> {
  const { errors } = context.streams;
  try {
    const run = new Run(context);
    await createProgram(run).parseAsync(words, { from: 'user' });
    return run.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode; // commander has printed it
    const lines = error instanceof Problem ? problemLines(error) : describeError(error).split('\n');
    print(errors, ...lines);
    return (error as { exitCode?: number }).exitCode ?? 1;
  }
}

/** One run of a command. */
class Run {
  exitCode = 0;

  constructor(readonly context: CommandContext) {}

  /** Makes the run fail without an error: what is wrong has been printed. */
  failUnless(isWell: boolean): void {
    if (!isWell) this.exitCode = 1;
  }
}

function createProgram(run: Run): Command {
  const { output, errors } = run.context.streams;
  const program = new Command('projects-service').description(
    'The commands beside the service. They use DATABASE_URL, or the embedded PostgreSQL without it.',
  );
  program.exitOverride().configureOutput({
    writeOut: (text) => output.write(text),
    writeErr: (text) => errors.write(text),
    outputError: (text, write) => write(`${visible(text.trimEnd())}\n`),
  });
  addDatabaseCommands(program, run);
  addImport(program, run);
  addExport(program, run);
  addKey(program, run);
  addDocuments(program, run);
  return program;
}

function addDatabaseCommands(program: Command, run: Run): void {
  program
    .command('migrate')
    .description('apply the pending migrations')
    .action(() => onDatabase(run.context, applyMigrations));

  program
    .command('status')
    .description(
      'say which migrations are applied, pending, edited, missing or late; exit 1 unless all is well',
    )
    .action(() =>
      onConnection(run.context, async (db, work) => run.failUnless(await printStatus(db, work))),
    );

  program
    .command('seed')
    .description('put a demonstration catalogue into the database; twice changes nothing')
    .action(() => onDatabase(run.context, plantCatalogue));
}

/** Collects the values of an option that may be given several times. An option with several values would take the file's name too. */
const repeated = (value: string, others: string[] = []) => [...others, value];

const formatOption = () =>
  new Option('--format <format>', 'what the file is; else its name says, or it is ndjson').choices(
    EXPORT_FORMATS,
  );

type ImportOptions = ImportFileOptions & { delimiter?: keyof typeof DELIMITER_NAMES };

function addImport(program: Command, run: Run): void {
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
    .addOption(
      new Option(
        '--delimiter <name>',
        'what stands between the cells of a CSV file; else its first row tells',
      ).choices(Object.keys(DELIMITER_NAMES)),
    )
    .action((file: string, { delimiter: name, ...options }: ImportOptions) =>
      onConnection(run.context, async (db, { signal, streams }) => {
        const delimiter = name && DELIMITER_NAMES[name];
        const isWell = await importFile(db, file, { ...options, delimiter, signal, streams });
        run.failUnless(isWell);
      }),
    );
}

function addExport(program: Command, run: Run): void {
  program
    .command('export')
    .description('export projects to a file, with the filters and the order of the list')
    .argument('[file]', 'where to; - is the standard output', '-')
    .addOption(formatOption())
    .option('--bom', 'begin a CSV file with a byte order mark, for Excel')
    .option('--technology <name>', 'only projects that use it; repeated: all of them', repeated)
    .option('--any-technology <name>', 'only projects that use it; repeated: one of them', repeated)
    .option('--q <words>', 'only projects with these words')
    .option('--created-from <moment>')
    .option('--created-to <moment>')
    .option('--updated-from <moment>')
    .option('--updated-to <moment>')
    .option('--sort <key>', 'createdAt, updatedAt or name; with - in front descending')
    .action((file: string, options: ExportFileOptions) =>
      onConnection(run.context, (db, { signal, streams }) =>
        exportFile(db, file, { ...options, signal, streams }),
      ),
    );
}

function addKey(program: Command, run: Run): void {
  program
    .command('key')
    .description('manage API keys')
    .command('create')
    .description('make an API key and print it, once, with its entry for AUTH_API_KEYS')
    .argument('<name>', 'whose key it is; the history shows this name')
    .addOption(
      new Option('--scopes <scopes>', 'what its user may do').choices(KEY_SCOPES).default('read'),
    )
    .action((name: string, { scopes }: { scopes: string }) =>
      printNewKey(name, scopes, run.context.streams),
    );
}

/** They load what no other command needs, such as Nest. */
function addDocuments(program: Command, run: Run): void {
  program
    .command('openapi')
    .description('write the OpenAPI document, as JSON and YAML')
    .argument('[directory]', 'where to', 'docs')
    .action(async (directory: string) => {
      const { writeOpenApi } = await import('./openapi.js');
      print(run.context.streams.output, ...(await writeOpenApi(directory)));
    });

  program
    .command('diagram')
    .description('draw the entity diagram')
    .argument('[file]', 'where to', 'docs/assets/database-diagram.png')
    .action(async (file: string) => {
      const { drawDiagram } = await import('./diagram.js');
      await writeFile(file, await drawDiagram());
      print(run.context.streams.output, file);
    });
}

function problemLines({ detail, extra }: Problem): string[] {
  const faults = (extra.errors ?? []).map(({ path, message }) => `  ${path} ${message}`.trimEnd());
  return [detail, ...faults];
}
