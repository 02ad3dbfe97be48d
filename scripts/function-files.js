// The files of src/db/functions, and how they compare with what the migrations contain. A migration
// holds the text of a file behind a line that names it, so that the last such text is the current one.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const MIGRATIONS = 'src/db/migrations';
const FUNCTIONS = 'src/db/functions';
const BREAKPOINT = '--> statement-breakpoint\n';
/**
 * What `SET search_path FROM CURRENT` of a function captures: the schemas of the session that migrates,
 * so that one database can have the tables in several schemas, and temporary tables last, so that none
 * can shadow a table of a trigger.
 */
const SEARCH_PATH = `-- The search path that functions capture: temporary tables come last.
SELECT set_config('search_path', (
  SELECT string_agg(quote_ident(name), ', ') FROM unnest(current_schemas(false)) AS name
) || ', pg_temp', true);
`;
const MARKER = /^-- functions\/(\S+\.sql)( removed)?\n/m;

/** Whether the columns, checks and indexes of schema.ts use it, so that it must be there before them. */
export const isBeforeTables = (file) => file.startsWith('before-tables/');

/**
 * What a migration must contain to bring a database up to date with the files: their changed texts,
 * each after those that it mentions, and a DROP for each file that was removed.
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

/** The last text of each file in the migrations; undefined for one that was removed. */
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

/** PostgreSQL checks the body of an SQL function when it is created: what it calls must be there. */
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

/** Triggers are dropped with their function. A file that held something else needs more by hand. */
function dropOf(file) {
  return `-- functions/${file} removed\nDROP FUNCTION IF EXISTS ${path.basename(file, '.sql')} CASCADE;\n`;
}
