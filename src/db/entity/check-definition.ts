import { getTableColumns, getTableName } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';

/** The names of the parameters that every list or export has. */
const PARAMETERS = ['limit', 'after', 'sort', 'format', 'bom'];
/** The columns that the database sets, with the names and types that the triggers and the generic statements expect. */
const SET_BY_DATABASE = {
  id: ['id', 'string uuid'],
  createdAt: ['created_at', 'custom timestamp (3) with time zone'],
  updatedAt: ['updated_at', 'custom timestamp (3) with time zone'],
  version: ['version', 'number integer'],
};

interface Definition {
  name: string;
  table: PgTable;
  columns: Readonly<Record<string, PgColumn>>;
  written: readonly string[];
  setByTrigger: readonly string[];
  sorts: readonly string[];
  filters: object;
}

/** Throws TypeError, with the remedy, for a mistake in the definition of an entity that only requests would show. */
export function checkDefinition(entity: Definition): void {
  const fault = faultOf(entity);
  if (fault) throw new TypeError(`The definition of the entity ${entity.name} is wrong: ${fault}`);
}

/** PostgreSQL shortens names to 63 bytes, and then two triggers of `track_changes` would have the same name. */
const MAX_TABLE_NAME_BYTES = 63 - '_changes_truncated'.length;

function faultOf(definition: Definition): string | undefined {
  const { table, columns, written, sorts, filters } = definition;
  if (Buffer.byteLength(getTableName(table)) > MAX_TABLE_NAME_BYTES)
    return `the name of its table is too long for the names of its triggers. Use at most ${MAX_TABLE_NAME_BYTES} bytes.`;
  const setByDatabase = [...Object.keys(SET_BY_DATABASE), ...definition.setByTrigger];
  const set = written.find((name) => setByDatabase.includes(name));
  if (set) return `the database sets the column ${set}. Remove it from \`written\`.`;
  const missing = Object.entries(columns).find(
    ([name, { notNull, hasDefault, generated }]) =>
      notNull && !hasDefault && !generated && ![...setByDatabase, ...written].includes(name),
  )?.[0];
  if (missing)
    return `no row can be created without the column ${missing}. Add it to \`written\`, give it a default, or, if a trigger sets it, add it to \`setByTrigger\`.`;
  const fault = columnFaultOf(definition);
  if (fault) return fault;
  const nullable = sorts.find((name) => !columns[name]?.notNull);
  if (nullable)
    return `a list sorted by ${nullable} would lose the rows in which it is null. Remove it from \`sorts\`, or make the column NOT NULL.`;
  const taken = Object.keys(filters).find((name) => PARAMETERS.includes(name));
  if (taken)
    return `every list has a parameter ${taken} already. Give this filter another name in \`filters\`.`;
  return undefined;
}

/** Returns the fault of a column that answers, or writes, would not have as the table defines it. */
function columnFaultOf({ table, columns }: Definition): string | undefined {
  const all = getTableColumns(table);
  const other = Object.entries(SET_BY_DATABASE).find(
    ([name, expected]) => `${all[name]?.name}: ${typeOf(all[name])}` !== expected.join(': '),
  )?.[0];
  if (other)
    return `its column ${other} is not the one that the triggers set. Declare \`uuid('id')\`, \`...createTimestamps()\` and \`integer('version')\`.`;
  const computed = Object.keys(all).find((name) => all[name]!.defaultFn ?? all[name]!.onUpdateFn);
  if (computed)
    return `a prepared statement would call \`$default\` or \`$onUpdate\` of the column ${computed} once for all rows. Let a default in SQL or a trigger set it.`;
  const renamed = Object.entries(columns).find(([name, column]) => fieldOf(column.name) !== name);
  if (renamed)
    return `history and feed call the column ${renamed[1].name} \`${fieldOf(renamed[1].name)}\`, but answers \`${renamed[0]}\`. Rename one of them.`;
  const big = Object.keys(columns).find((name) => columns[name]!.dataType === 'bigint');
  if (big) return `JSON has no bigint for the column ${big}. Give it the mode 'number'.`;
  const leaked = Object.keys(all).find((name) => !columns[name] && !all[name]!.generated);
  if (leaked)
    return `history and feed would contain the hidden column ${leaked}, unless it is generated. Move it to a table of its own.`;
  return undefined;
}

function typeOf(column: PgColumn | undefined): string {
  return `${column?.dataType} ${column?.getSQLType()}`;
}

/** Returns the name of a column in history and feed (functions/track_changes.sql). */
function fieldOf(column: string): string {
  if (column !== column.toLowerCase()) return column;
  const words = column.replace(/(?<![\p{L}\p{N}])\p{L}/gu, (letter) => letter.toUpperCase());
  const name = words.replace(/[_ ]/g, '');
  return column.slice(0, 1) + name.slice(1);
}
