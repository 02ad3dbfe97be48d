import { getTableConfig, type PgTable } from 'drizzle-orm/pg-core';

/** The names of the defined entities by their tables, for errors that are about rows of another entity. */
const names = new Map<string, string>();

/** Records the name of the entity of a table. */
export function nameTable(table: PgTable, entity: string): void {
  const { schema = '', name } = getTableConfig(table);
  names.set(`${schema}.${name}`, entity);
}

/** Returns the name of the entity whose rows are in this table; undefined if none is defined. */
export function entityNameOf(schema: string, table: string): string | undefined {
  return names.get(`${schema}.${table}`) ?? names.get(`.${table}`);
}
