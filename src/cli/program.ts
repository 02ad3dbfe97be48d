import { writeFile } from 'node:fs/promises';
import { Command, CommanderError, Option } from 'commander';
import { describeError } from '../db/explain-error.js';
import { EXPORT_FORMATS } from '../db/entity/row-export.js';
import { Problem } from '../http/problems/problem.js';
import { DELIMITER_NAMES } from '../entities/transfer/csv-cells.js';
import { applyMigrations, seedCatalogue, printStatus } from './database-commands.js';
import { exportFile, type ExportFileOptions } from './export.js';
import { importFile, type ImportFileOptions } from './import.js';
import { KEY_SCOPES, printNewKey } from './key.js';
import { print, visible } from './terminal.js';
import { type CommandContext, onConnection, onDatabase } from './work.js';

/**
 * Runs the command with these arguments, prints its errors and resolves with its exit code. Several commands may
 * run in one process, because streams, environment and signals are arguments.
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

  /** Sets exit code 1 if the command has already printed what is wrong. */
  failUnless(isWell: boolean): void {
    if (!isWell) this.exitCode = 1;
  }
}

function createProgram(run: Run): Command {
  const { output, errors } = run.context.streams;
  const program = new Command('projects-service').description(
    'Commands to administer the service. They use the database of DATABASE_URL, or the embedded PostgreSQL if it is not set.',
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
      'show which migrations are applied, pending, edited, missing, newer or late; exit with 1 if there is a problem',
    )
    .action(() =>
      onConnection(run.context, async (db, work) => run.failUnless(await printStatus(db, work))),
    );

  program
    .command('seed')
    .description('insert the demonstration projects that are not in the database yet')
    .action(() => onDatabase(run.context, seedCatalogue));
}

/** Collects the values of a repeated option. A variadic option would also consume the file name. */
const repeated = (value: string, others: string[] = []) => [...others, value];

const formatOption = () =>
  new Option(
    '--format <format>',
    'format of the file (default: from its extension, otherwise ndjson)',
  ).choices(EXPORT_FORMATS);

type ImportOptions = ImportFileOptions & { delimiter?: keyof typeof DELIMITER_NAMES };

function addImport(program: Command, run: Run): void {
  program
    .command('import')
    .description('import projects from a file; exit with 1 if rows are refused')
    .argument('<file>', 'NDJSON or CSV, compressed if it ends in .gz; - reads the standard input')
    .addOption(formatOption())
    .addOption(
      new Option(
        '--on-error <action>',
        'what to do when a row is refused: import nothing (abort), or skip that row',
      )
        .choices(['abort', 'skip'])
        .default('abort'),
    )
    .option('--dry-run', 'write nothing, but print what would be written')
    .addOption(
      new Option(
        '--delimiter <name>',
        'separator of the cells of a CSV file (default: detected in its first row)',
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
    .argument('[file]', 'file to write; - is the standard output', '-')
    .addOption(formatOption())
    .option('--bom', 'begin a CSV file with a byte order mark, for Excel')
    .option(
      '--technology <name>',
      'only projects that use all of these technologies (repeatable)',
      repeated,
    )
    .option(
      '--any-technology <name>',
      'only projects that use one of these technologies (repeatable)',
      repeated,
    )
    .option('--q <words>', 'only projects that contain these words')
    .option('--created-from <time>', 'only projects created at or after this date or time')
    .option('--created-to <time>', 'only projects created before this date or time')
    .option('--updated-from <time>', 'only projects updated at or after this date or time')
    .option('--updated-to <time>', 'only projects updated before this date or time')
    .option('--sort <key>', 'sort key: createdAt, updatedAt or name; a leading - sorts descending')
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
    .description('create an API key and print it with its entry for AUTH_API_KEYS')
    .argument('<name>', 'name of the user of the key; the history shows it')
    .addOption(
      new Option('--scopes <scopes>', 'permissions of the key').choices(KEY_SCOPES).default('read'),
    )
    .action((name: string, { scopes }: { scopes: string }) =>
      printNewKey(name, scopes, run.context.streams),
    );
}

/** These commands import modules that no other command needs, such as Nest. */
function addDocuments(program: Command, run: Run): void {
  program
    .command('openapi')
    .description('write the OpenAPI document, as JSON and YAML')
    .argument('[directory]', 'directory to write to', 'docs')
    .action(async (directory: string) => {
      const { writeOpenApi } = await import('./openapi.js');
      print(run.context.streams.output, ...(await writeOpenApi(directory)));
    });

  program
    .command('diagram')
    .description('draw the entity diagram')
    .argument('[file]', 'file to write', 'docs/assets/database-diagram.png')
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
