import type { PgColumn } from 'drizzle-orm/pg-core';

/** The names of the parameters that every list or export has. */
const PARAMETERS = ['limit', 'after', 'sort', 'format', 'bom'];
const SET_BY_DATABASE = ['id', 'createdAt', 'updatedAt', 'version'];

interface Definition {
  name: string;
  columns: Readonly<Record<string, PgColumn>>;
  written: readonly string[];
  sorts: readonly string[];
  filters: object;
}

/** Throws TypeError, with the remedy, for a mistake in the definition of an entity that only requests would show. */
export function checkDefinition(entity: Definition): void {
  const fault = faultOf(entity);
  if (fault) throw new TypeError(`The definition of the entity ${entity.name} is wrong: ${fault}`);
}

function faultOf({ columns, written, sorts, filters }: Definition): string | undefined {
  const set = written.find((name) => SET_BY_DATABASE.includes(name));
  if (set) return `the database sets the column ${set}. Remove it from \`written\`.`;
  const missing = Object.entries(columns).find(
    ([name, { notNull, hasDefault, generated }]) =>
      notNull && !hasDefault && !generated && ![...SET_BY_DATABASE, ...written].includes(name),
  )?.[0];
  if (missing)
    return `no row can be created without the column ${missing}. Add it to \`written\`, or give it a default.`;
  const nullable = sorts.find((name) => !columns[name]?.notNull);
  if (nullable)
    return `a list sorted by ${nullable} would lose the rows in which it is null. Remove it from \`sorts\`, or make the column NOT NULL.`;
  const taken = Object.keys(filters).find((name) => PARAMETERS.includes(name));
  if (taken)
    return `every list has a parameter ${taken} already. Give this filter another name in \`filters\`.`;
  return undefined;
}
