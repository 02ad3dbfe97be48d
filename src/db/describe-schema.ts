import { is, SQL, sql } from 'drizzle-orm';
import {
  type ForeignKey,
  getTableConfig,
  type Index,
  IndexedColumn,
  type PgColumn,
  PgTable,
} from 'drizzle-orm/pg-core';
import { toQuery } from './query/drizzle-internals.js';

export interface DescribedColumn {
  name: string;
  type: string;
  notNull: boolean;
  /** The SQL by which the database fills the column: `default now()`, `generated always as (…)`. */
  filledBy?: string;
}

/** The name and the SQL definition of a constraint or an index. */
export interface NamedSql {
  name: string;
  sql: string;
}

export interface DescribedReference extends NamedSql {
  columns: string[];
  table: string;
  foreignColumns: string[];
}

/** One table as plain data, with the names of the database and readable SQL expressions. */
export interface DescribedTable {
  name: string;
  columns: DescribedColumn[];
  primaryKey: string[];
  indexes: NamedSql[];
  uniques: NamedSql[];
  checks: NamedSql[];
  references: DescribedReference[];
}

/** A table that is derived from another one, from `derivations.ts`. */
export interface DescribedDerivation {
  from: string;
  to: string;
  by: string[];
}

/** Describes every table that a schema module exports, sorted by name. It does not connect to a database. */
export function describeSchema(schema: object): DescribedTable[] {
  return Object.values(schema)
    .filter((value): value is PgTable => is(value, PgTable))
    .map(describeTable)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function describeTable(table: PgTable): DescribedTable {
  const { columns, primaryKeys, indexes, uniqueConstraints, checks, foreignKeys } =
    getTableConfig(table);
  return {
    name: tableName(table),
    columns: columns.map((column) => ({
      name: column.name,
      type: column.getSQLType(),
      notNull: column.notNull,
      filledBy: filledBy(column),
    })),
    primaryKey: namesOf([
      ...columns.filter((column) => column.primary),
      ...primaryKeys.flatMap((key) => key.columns),
    ]),
    indexes: indexes.map(describeIndex),
    uniques: [
      ...columns
        .filter((column) => column.isUnique)
        .map(({ uniqueName, name }) => ({ name: uniqueName ?? '', sql: list([name]) })),
      ...uniqueConstraints.map((unique) => ({
        name: unique.getName() ?? '',
        sql: list(namesOf(unique.columns)),
      })),
    ],
    checks: checks.map((check) => ({ name: check.name, sql: read(check.value) })),
    references: foreignKeys.map(describeReference),
  };
}

function filledBy(column: PgColumn): string | undefined {
  const { default: value, generated, generatedIdentity } = column;
  if (generatedIdentity) return `generated ${generatedIdentity.type} as identity`;
  if (generated) {
    const { as } = generated;
    const expression: unknown = typeof as === 'function' ? (as as () => SQL)() : as;
    return `generated always as (${read(expression)})`;
  }
  if (value === undefined) return undefined;
  return `default ${read(is(value, SQL) ? value : sql.param(value, column))}`;
}

function describeIndex({ config }: Index): NamedSql {
  const keys = config.columns.map((key) => (is(key, IndexedColumn) ? indexKey(key) : read(key)));
  const where = config.where ? ` where ${read(config.where)}` : '';
  const definition = `${config.unique ? 'unique ' : ''}${config.method} ${list(keys)}${where}`;
  return { name: config.name ?? '', sql: definition };
}

function indexKey({ name, indexConfig }: IndexedColumn): string {
  const { opClass, order, nulls } = indexConfig;
  // Drizzle always states the order. It is shown only if it differs from the default, asc nulls last.
  const usual = order !== 'desc' && nulls !== 'first';
  return [name, opClass, usual ? undefined : `${order} nulls ${nulls}`].filter(Boolean).join(' ');
}

function describeReference(key: ForeignKey): DescribedReference {
  const reference = key.reference();
  const table = tableName(reference.foreignTable);
  const columns = namesOf(reference.columns);
  const foreignColumns = namesOf(reference.foreignColumns);
  const action = key.onDelete && key.onDelete !== 'no action' ? ` on delete ${key.onDelete}` : '';
  const sql = `${list(columns)} references ${table} ${list(foreignColumns)}${action}`;
  return { name: key.getName(), sql, columns, table, foreignColumns };
}

function list(names: string[]): string {
  return `(${names.join(', ')})`;
}

export function tableName(table: PgTable): string {
  const { schema, name } = getTableConfig(table);
  return schema ? `${schema}.${name}` : name;
}

function namesOf(columns: PgColumn[]): string[] {
  return columns.map((column) => column.name);
}

// Matches a string literal or a qualified column. The literal is kept; the column loses its qualifier.
const LITERAL_OR_COLUMN = /('(?:[^']|'')*')|(?:"[^"]+"\.)*"([a-z_][a-z0-9_]*)"/g;

/** Renders SQL without parameters, and without quotes and table names, which are redundant inside one table. */
function read(expression: unknown): string {
  return toQuery(sql`${expression}`.inlineParams())
    .sql.replace(/\s+/g, ' ')
    .replace(LITERAL_OR_COLUMN, (_, literal?: string, column?: string) => literal ?? column ?? '');
}
