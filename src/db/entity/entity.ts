import { getTableColumns } from 'drizzle-orm';
import { getTableConfig, type PgColumn, type PgTable } from 'drizzle-orm/pg-core';
import { checkDefinition } from './check-definition.js';
import { type ColumnKind, kindOfColumn } from './column-kinds.js';
import { defaultsOf } from './defaults.js';
import { nameTable } from './entity-names.js';
import { before, type FilterTable, from } from './filters.js';
import { normalizeTexts } from './normalize-texts.js';

/** The columns of every entity. The trigger `touch_row` sets the last three. */
export interface EntityRow {
  id: string;
  createdAt: string;
  updatedAt: string;
  version: number;
}

/** The columns that a list can be sorted by: not null, and neither lists nor JSON. */
type SortableColumn<Row> = {
  [Name in keyof Row & string]: Row[Name] extends string | number | boolean ? Name : never;
}[keyof Row & string];

/** A table with the columns of EntityRow. */
export type EntityTable = PgTable & Record<keyof EntityRow, PgColumn>;

/**
 * The definition of an entity for the generic factory, controller and feed. `defineEntity` creates it; everything else
 * (SQL, cursors, statement keys, documentation) is derived from it.
 */
export interface Entity<Row extends EntityRow = EntityRow, Values extends object = object> {
  /** The name in the history, the feed and messages, such as `skill`. */
  readonly name: string;
  readonly table: EntityTable;
  /** The columns of the answers, in their order. */
  readonly columns: Readonly<Record<string, PgColumn>>;
  /** The columns that clients write. */
  readonly written: readonly string[];
  /** The kinds of the written columns, which import and export need. */
  readonly kinds: Readonly<Record<string, ColumnKind<unknown> | undefined>>;
  /** The columns that a list can be sorted by. Each needs an index on (column, id). */
  readonly sorts: readonly string[];
  readonly filters: FilterTable;
  /** The values of the written columns that a client may omit. All other written columns are required. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** True if the table has a unique constraint or index other than its id. */
  readonly hasUniqueValues: boolean;
  /**
   * The known triggers on INSERT. If undefined, each row is inserted by a separate statement (batched-inserts.ts).
   */
  readonly insertTriggers?: readonly string[];
  /** The same for UPDATE (batched-updates.ts). */
  readonly updateTriggers?: readonly string[];
  /** Converts values to their stored form. Throws `invalid_value` for values that cannot be stored. */
  readonly normalize: <T extends Partial<Values>>(values: T) => T;
  /** These exist only for the compiler: the types of a row and of the values that clients write. */
  readonly $row?: Row;
  readonly $values?: Values;
}

interface EntityOptions<T extends EntityTable, W extends string, H extends string> {
  name: string;
  table: T;
  written: readonly (W & keyof T['$inferInsert'])[];
  /** Generated columns that are never in an answer, such as one for full-text search. */
  hidden?: readonly (H & keyof T['$inferSelect'])[];
  /** Columns that are NOT NULL without a default, because a trigger sets them. Clients cannot write them. */
  setByTrigger?: readonly (keyof T['$inferSelect'] & string)[];
  /** The kinds of columns that cannot be derived from their types, such as a JSON list. */
  kinds?: Partial<Record<W, unknown>>;
  /** The sorts in addition to `createdAt` and `updatedAt`. */
  sorts?: readonly SortableColumn<T['$inferSelect']>[];
  /** The filters in addition to those on `createdAt` and `updatedAt`, which every entity has. */
  filters?: FilterTable;
  /**
   * If set, rows that are created at the same time on the pool share one INSERT, unless the table has triggers on
   * INSERT other than these and those of `track_changes`. Use it for a table whose ids are `gen_random_uuid()`,
   * without unique values. Default: each row is inserted by a separate statement.
   */
  insertTriggers?: readonly string[];
  /** The same for rows that are updated or replaced at the same time, and for triggers on UPDATE. */
  updateTriggers?: readonly string[];
  /** Converts values to their stored form; default: texts are converted to Unicode normalization form C. */
  normalize?: <V extends Partial<Pick<T['$inferInsert'], W & keyof T['$inferInsert']>>>(
    values: V,
  ) => V;
}

/**
 * Defines an entity for the generic factory, controller and feed. Throws TypeError, with the remedy, for a definition
 * that could not work.
 */
export function defineEntity<
  T extends EntityTable,
  W extends keyof T['$inferInsert'] & string,
  H extends keyof T['$inferSelect'] & string = never,
>(
  options: EntityOptions<T, W, H>,
): Entity<Omit<T['$inferSelect'], H> & EntityRow, Pick<T['$inferInsert'], W>> {
  const { name, table, written, hidden = [], sorts = [], filters = {} } = options;
  const { kinds = {}, normalize = normalizeTexts, insertTriggers, updateTriggers } = options;
  const columns = Object.entries(getTableColumns(table)).filter(
    ([column]) => !(hidden as readonly string[]).includes(column),
  );
  const entity = {
    name,
    table,
    columns: Object.fromEntries(columns),
    written,
    kinds: {
      ...Object.fromEntries(
        written.map((column) => [column, kindOfColumn(table[column as never])]),
      ),
      ...(kinds as Record<string, ColumnKind<unknown>>),
    },
    defaults: defaultsOf(Object.fromEntries(written.map((name) => [name, table[name as never]]))),
    normalize,
    hasUniqueValues: hasUniqueValues(table),
    insertTriggers,
    updateTriggers,
    sorts: ['createdAt', 'updatedAt', ...sorts],
    filters: {
      ...filters,
      createdFrom: from(table.createdAt),
      createdTo: before(table.createdAt),
      updatedFrom: from(table.updatedAt),
      updatedTo: before(table.updatedAt),
      ...filters, // again: one with such a name replaces it
    },
  };
  checkDefinition({ ...entity, setByTrigger: options.setByTrigger ?? [] });
  nameTable(table, name);
  return entity;
}

function hasUniqueValues(table: EntityTable): boolean {
  const { columns, uniqueConstraints, indexes } = getTableConfig(table);
  return (
    uniqueConstraints.length > 0 ||
    columns.some((column) => column.isUnique) ||
    indexes.some(({ config }) => config.unique)
  );
}
