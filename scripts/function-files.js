// Compares the files of src/db/functions with the migrations. A migration contains the text of a file after a
// line with its name; the last such text is the current one.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const MIGRATIONS = 'src/db/migrations';
const FUNCTIONS = 'src/db/functions';
const BREAKPOINT = '--> statement-breakpoint\n';
/**
 * Sets the search path that `SET search_path FROM CURRENT` of a function captures: the schemas of the session
 * that migrates, so that one database can have the tables in several schemas, and temporary tables last, so
 * that none can shadow a table of a trigger.
 */
const SEARCH_PATH = `-- The search path that functions capture: temporary tables come last.
SELECT set_config('search_path', (
  SELECT string_agg(quote_ident(name), ', ') FROM unnest(current_schemas(false)) AS name
) || ', pg_temp', true);
`;
const MARKER = /^-- functions\/(\S+\.sql)( removed)?\n/m;

/** True if columns, checks or indexes of schema.ts use the function, so that it must be created before them. */
export const isBeforeTables = (file) => file.startsWith('before-tables/');

/**
 * Returns the SQL that brings a database up to date with the files: the changed texts, each after the functions
 * that it calls, and a DROP for each removed file.
 */
export function changedFunctions() {
  const files = readFunctions();
  const migrated = readMigrated();
  const changed = inOrderOfUse(files)
    .filter((file) => migrated.get(file) !== files.get(file))
    .map((file) => ({ file, sql: `-- functions/${file}\n${files.get(file)}` }));
  const removed = [...migrated.keys()]
    .filter((file) => migrated.get(file) !== undefined && !files.has(file))
    .map((file) => ({ file, sql: dropOf(file) }));
  return [...changed, ...removed];
}

export function toMigration(changes) {
  return [SEARCH_PATH, ...changes.map(({ sql }) => sql)].join(BREAKPOINT);
}

function readFunctions() {
  const names = readdirSync(FUNCTIONS, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll(path.sep, '/'))
    .filter((name) => name.endsWith('.sql'));
  return new Map(
    names.sort().map((name) => [name, readFileSync(path.join(FUNCTIONS, name), 'utf8')]),
  );
}

/** Returns the last text of each file in the migrations; undefined for a removed one. */
function readMigrated() {
  const migrated = new Map();
  if (!existsSync(MIGRATIONS)) return migrated;
  const migrations = readdirSync(MIGRATIONS).filter((file) => file.endsWith('.sql'));
  for (const migration of migrations.sort()) {
    const [, ...parts] = readFileSync(path.join(MIGRATIONS, migration), 'utf8').split(MARKER);
    for (let i = 0; i < parts.length; i += 3) {
      const [file, removed, sql] = parts.slice(i, i + 3);
      const isLast = i + 3 >= parts.length;
      migrated.set(file, removed ? undefined : isLast ? sql : sql.slice(0, -BREAKPOINT.length));
    }
  }
  return migrated;
}

/** Sorts the files so that called functions come first: PostgreSQL checks the body of an SQL function when it is created. */
function inOrderOfUse(files) {
  const visited = new Set();
  const ordered = [];
  const add = (file) => {
    if (visited.has(file)) return;
    visited.add(file);
    [...files.keys()].filter((other) => uses(files.get(file), other)).forEach(add);
    ordered.push(file);
  };
  [...files.keys()].forEach(add);
  return ordered;
}

function uses(sql, file) {
  return sql.includes(`${path.basename(file, '.sql')}(`);
}

/** Triggers are dropped with their function. Other objects of a removed file must be dropped by hand. */
function dropOf(file) {
  return `-- functions/${file} removed\nDROP FUNCTION IF EXISTS ${path.basename(file, '.sql')} CASCADE;\n`;
}
