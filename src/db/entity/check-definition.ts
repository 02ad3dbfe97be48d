import { getTableName, type Table } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';

/** The names of the parameters that every list or export has. */
const PARAMETERS = ['limit', 'after', 'sort', 'format', 'bom'];
const SET_BY_DATABASE = ['id', 'createdAt', 'updatedAt', 'version'];

interface Definition {
  name: string;
  table: Table;
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
  const setByDatabase = [...SET_BY_DATABASE, ...definition.setByTrigger];
  const set = written.find((name) => setByDatabase.includes(name));
  if (set) return `the database sets the column ${set}. Remove it from \`written\`.`;
  const missing = Object.entries(columns).find(
    ([name, { notNull, hasDefault, generated }]) =>
      notNull && !hasDefault && !generated && ![...setByDatabase, ...written].includes(name),
  )?.[0];
  if (missing)
    return `no row can be created without the column ${missing}. Add it to \`written\`, give it a default, or, if a trigger sets it, add it to \`setByTrigger\`.`;
  const nullable = sorts.find((name) => !columns[name]?.notNull);
  if (nullable)
    return `a list sorted by ${nullable} would lose the rows in which it is null. Remove it from \`sorts\`, or make the column NOT NULL.`;
  const taken = Object.keys(filters).find((name) => PARAMETERS.includes(name));
  if (taken)
    return `every list has a parameter ${taken} already. Give this filter another name in \`filters\`.`;
  return undefined;
}
