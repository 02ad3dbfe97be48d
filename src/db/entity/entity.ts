import { getTableColumns } from 'drizzle-orm';
import type { PgColumn, PgTable } from 'drizzle-orm/pg-core';
import { before, type FilterTable, from } from './filters.js';

/** The columns that every entity has; `touch_row` keeps the last three. */
export interface EntityRow {
  id: string;
  createdAt: string;
  updatedAt: string;
  version: number;
}

/** A table with the columns of EntityRow. */
export type EntityTable = PgTable & Record<keyof EntityRow, PgColumn>;

/**
 * What the generic factory, controller and feed need to know of one kind of entity. Made by
 * `defineEntity`; everything else (SQL, cursors, statement keys, documentation) is derived from it.
 */
export interface Entity<Row extends EntityRow = EntityRow, Values extends object = object> {
  /** The name in the history, the feed and messages, such as `project`. */
  readonly name: string;
  readonly table: EntityTable;
  /** The columns that are answered, in their order. */
  readonly columns: Readonly<Record<string, PgColumn>>;
  /** The columns that clients write. */
  readonly written: readonly string[];
  /** The columns that a list can be sorted by; each needs an index on (column, id). */
  readonly sorts: readonly string[];
  readonly filters: FilterTable;
  /** For the compiler only: the types of a row and of what clients write. */
  readonly $row?: Row;
  readonly $values?: Values;
}

interface EntityOptions<T extends EntityTable, W extends string, H extends string> {
  name: string;
  table: T;
  written: readonly (W & keyof T['$inferInsert'])[];
  /** Columns that are never answered, such as one for full-text search. */
  hidden?: readonly (H & keyof T['$inferSelect'])[];
  /** Beside `createdAt` and `updatedAt`. */
  sorts?: readonly (keyof T['$inferSelect'] & string)[];
  /** Beside those on `createdAt` and `updatedAt`, which every entity has. */
  filters?: FilterTable;
}

/** What one entity is, for the building blocks that serve it. */
export function defineEntity<
  T extends EntityTable,
  W extends keyof T['$inferInsert'] & string,
  H extends keyof T['$inferSelect'] & string = never,
>(
  options: EntityOptions<T, W, H>,
): Entity<Omit<T['$inferSelect'], H> & EntityRow, Pick<T['$inferInsert'], W>> {
  const { name, table, written, hidden = [], sorts = [], filters = {} } = options;
  const columns = Object.entries(getTableColumns(table)).filter(
    ([column]) => !(hidden as readonly string[]).includes(column),
  );
  return {
    name,
    table,
    columns: Object.fromEntries(columns),
    written,
    sorts: ['createdAt', 'updatedAt', ...sorts],
    filters: {
      ...filters,
      createdFrom: from(table.createdAt),
      createdTo: before(table.createdAt),
      updatedFrom: from(table.updatedAt),
      updatedTo: before(table.updatedAt),
    },
  };
}
