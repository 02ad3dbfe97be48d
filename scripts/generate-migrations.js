// Writes the migrations for the changes of schema.ts and src/db/functions: first the functions that tables need,
// then the tables (by drizzle-kit), then the other functions and triggers.
//   npm run db:generate -- --name add_teams
//   npm run db:generate -- --initial            create all migrations again; only before the first release
//   npm run db:generate -- --custom --name x    an empty migration, for SQL that schema.ts cannot express
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { changedFunctions, isBeforeTables, MIGRATIONS, toMigration } from './function-files.js';

const { values } = parseArgs({
  options: {
    name: { type: 'string' },
    custom: { type: 'boolean', default: false },
    initial: { type: 'boolean', default: false },
  },
});

if (values.custom) {
  drizzleKit('--custom', ...(values.name ? [`--name=${values.name}`] : []));
} else {
  if (values.initial) rmSync(MIGRATIONS, { recursive: true, force: true });
  const name = values.name ?? (values.initial ? 'tables' : undefined);
  const prefix = values.name ? `${values.name}_` : '';
  const changes = changedFunctions();
  writeFunctions(
    `${prefix}table_functions`,
    changes.filter(({ file }) => isBeforeTables(file)),
  );
  drizzleKit(...(name ? [`--name=${name}`] : []));
  writeFunctions(
    `${prefix}functions`,
    changes.filter(({ file }) => !isBeforeTables(file)),
  );
}

function writeFunctions(name, changes) {
  if (changes.length === 0) return;
  drizzleKit('--custom', `--name=${name}`);
  const file = readdirSync(MIGRATIONS)
    .filter((entry) => entry.endsWith('.sql'))
    .sort()
    .at(-1);
  writeFileSync(path.join(MIGRATIONS, file), toMigration(changes));
}

/** Runs drizzle-kit and checks its output, because it exits with 0 even after a failure. */
function drizzleKit(...args) {
  const output = execFileSync(
    process.execPath,
    ['node_modules/drizzle-kit/bin.cjs', 'generate', ...args],
    { encoding: 'utf8', stdio: ['inherit', 'pipe', 'inherit'] },
  );
  console.log(output.trim());
  if (/No schema changes|migration file ➜/.test(output)) return;
  console.error('drizzle-kit wrote no migration; its message is above');
  process.exit(1);
}
