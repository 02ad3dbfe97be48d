import { and, getTableName, type SQL, sql, type SQLWrapper } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import type { Db } from '../connection.js';
import { DataError } from '../errors.js';
import { subquery } from '../query/drizzle-internals.js';
import { FITS, isMeasured, MAX_PAGE_BYTES, measuredRows, PageBytes } from '../query/page-bytes.js';
import { statementCache, withPlainRows } from '../query/prepared.js';
import { shareReads } from '../query/shared-reads.js';
import { toTypeOf } from './cast-type.js';
import type { Entity, EntityRow } from './entity.js';
import type { FilterValues } from './filters.js';
import { type ExportOptions, exportRows } from './row-export.js';

/** The end of a page: the sort key and the id of its last row. */
export interface Position {
  key: string;
  id: string;
}

export interface ListQuery {
  /** The maximum number of rows in a page; a page of large rows has fewer. Default 50. */
  limit?: number;
  /** The end of the previous page, from its `next`. */
  after?: Position;
  /** One of the entity's sorts; a leading `-` sorts descending. Default `-createdAt`. */
  sort?: string;
  /** The values of the entity's filters. A row must match all given filters. */
  filters?: FilterValues;
}

export interface ListPage<Row> {
  rows: Row[];
  /** The position after which the next page begins; undefined on the last page. */
  next?: Position;
}

interface Order {
  by: string;
  descending: boolean;
}

/** A checked query of a page, with its defaults. */
interface PageQuery extends Required<Pick<ListQuery, 'limit'>>, Pick<ListQuery, 'after'> {
  order: Order;
  /** The names of the given filters, in the order of their values. */
  names: string[];
  values: unknown[];
}

/** The number of cached statements, one for each shape of a query: its filters, sort, and first or later page. */
const MAX_SHAPES = 200;
export const DEFAULT_LIMIT = 50;
export const DEFAULT_SORT = '-createdAt';

/**
 * Lists of one entity with keyset pagination. A reader that follows the pages while others write gets each row that
 * exists all the time exactly once. A row whose sort key changes meanwhile may move.
 *
 * The SQL, the cache key of the statement and the values are derived from the entity's table of filters, so that a new
 * filter is one line there.
 */
export function createKeysetList<Row extends EntityRow, Values extends object>(
  db: Db,
  entity: Entity<Row, Values>,
) {
  const cached = statementCache(MAX_SHAPES);

  const readShared = shareReads(readPage);

  /**
   * Throws `invalid_value` for a limit below 1, an unknown sort or an unknown filter. Concurrent callers of an equal
   * query share a read. Each gets its own rows, whose lists and objects are shared.
   */
  async function list(query: ListQuery = {}): Promise<ListPage<Row>> {
    const { limit = DEFAULT_LIMIT, after, filters = {} } = query;
    checkLimit(limit);
    const order = orderOf(entity, query.sort);
    const names = namesOf(entity, filters);
    const values = names.map((name) => toValue(filters[name]));
    const { rows, next } = await readShared({ limit, after, order, names, values });
    return { rows: rows.map((row) => ({ ...row })), next };
  }

  async function readPage({
    limit,
    after,
    order,
    names,
    values,
  }: PageQuery): Promise<ListPage<Row>> {
    const isLaterPage = after !== undefined;
    const shape = [order.by, order.descending, isLaterPage, isMeasured(limit), ...names].join();
    const statement = cached(shape, () => {
      const found = select(order, names, isLaterPage);
      return withPlainRows(
        (isMeasured(limit) ? measured(found) : found).prepare(`list ${entity.name}`),
        ['id'],
      );
    });
    const rows = (await statement.execute({
      ...Object.fromEntries(names.map((name, n) => [`filter_${name}`, values[n]])),
      limit: limit + 1, // one more row, to detect a next page
      afterKey: after?.key,
      afterId: after?.id,
    })) as Row[];
    const page = rows.slice(0, countOfPage(rows, limit));
    return {
      rows: page,
      next: rows.length > page.length ? positionOf(page.at(-1)!, order) : undefined,
    };
  }

  function select({ by, descending }: Order, names: string[], isLaterPage: boolean) {
    const { id } = entity.table;
    const key = entity.columns[by]!;
    const direction = sql.raw(descending ? 'desc' : 'asc');
    const comparison = sql.raw(descending ? '<' : '>');
    const afterCursor = sql`(${key}, ${id}) ${comparison}
      (${toTypeOf(key, sql.placeholder('afterKey'))}, ${sql.placeholder('afterId')}::uuid)`;
    const conditions: SQL[] = names.map((name) =>
      entity.filters[name]!.where(sql`${sql.placeholder(`filter_${name}`)}`),
    );
    return db
      .select(entity.columns)
      .from(entity.table)
      .where(and(...conditions, isLaterPage ? afterCursor : undefined))
      .orderBy(sql`${key} ${direction}, ${id} ${direction}`)
      .limit(sql.placeholder('limit'));
  }

  /**
   * Writes all rows that match the filters to a file, in the state of one moment, and resolves with their number.
   * Throws `invalid_value` as `list` does.
   */
  async function exportTo(
    { sort, filters = {} }: Pick<ListQuery, 'sort' | 'filters'>,
    options: ExportOptions,
  ): Promise<number> {
    const { by, descending } = orderOf(entity, sort);
    const direction = sql.raw(descending ? 'desc' : 'asc');
    const conditions = namesOf(entity, filters).map((name) =>
      entity.filters[name]!.where(sql`${sql.param(toValue(filters[name]))}`),
    );
    return await exportRows(db, entity, {
      where: and(...conditions),
      orderBy: sql`${entity.columns[by]} ${direction}, ${entity.table.id} ${direction}`,
      ...options,
    });
  }

  /** Measures the rows of a long page. The id of the first row that does not fit is null. */
  function measured(found: SQLWrapper) {
    const { table, columns } = entity;
    const sized = Object.values(columns).filter(isLarge);
    const rows = measuredRows(
      found,
      sized.map(({ name }) => name),
    );
    const id = sql`case when ${FITS} then ${sql.identifier(table.id.name)} end`;
    return db.select({ ...columns, id }).from(subquery(rows, columns, getTableName(table)));
  }

  return { list, exportTo };
}

/** True if the values of a column may be long. */
function isLarge(column: PgColumn): boolean {
  return /char|text|json|bytea|\[/.test(column.getSQLType());
}

/** Returns the number of rows in the page: up to the limit, and fewer if they are large. */
function countOfPage(rows: EntityRow[], limit: number): number {
  const isSmall = sum(rows.map(mostBytesOf)) <= MAX_PAGE_BYTES;
  if (isSmall && rows.at(-1)?.id !== null) return Math.min(rows.length, limit);
  const bytes = new PageBytes();
  const end = rows.findIndex(
    (row, i) => i === limit || row.id === null || !bytes.takes(JSON.stringify(row)),
  );
  return end === -1 ? rows.length : end;
}

/** Returns an upper bound for the bytes of the row's JSON: six for each character, and room for names, numbers and dates. */
function mostBytesOf(row: EntityRow): number {
  const sizes = Object.values(row).map((value: unknown) => {
    if (typeof value === 'string') return 6 * value.length;
    return typeof value === 'object' && value !== null ? 6 * JSON.stringify(value).length : 0;
  });
  return sum(sizes) + 100 * sizes.length;
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1) return;
  throw new DataError('invalid_value', 'The limit of a page must be a whole number from 1.');
}

function orderOf({ sorts }: Entity, sort = DEFAULT_SORT): Order {
  const descending = sort.startsWith('-');
  const by = descending ? sort.slice(1) : sort;
  if (sorts.includes(by)) return { by, descending };
  throw new DataError('invalid_value', `The list cannot be sorted by ${by}.`);
}

/** Returns the names of the given filters, sorted, so that the order of the request does not matter. */
function namesOf({ filters }: Entity, values: FilterValues): string[] {
  const names = Object.keys(values).filter((name) => values[name] !== undefined);
  const unknown = names.find((name) => !Object.hasOwn(filters, name));
  if (unknown !== undefined) {
    throw new DataError('invalid_value', `There is no filter ${unknown}.`);
  }
  return names.sort();
}

function toValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toValue);
  return value instanceof Date ? value.toISOString() : value;
}

function positionOf(row: EntityRow, { by }: Order): Position {
  return { key: String((row as unknown as Record<string, unknown>)[by]), id: row.id };
}
