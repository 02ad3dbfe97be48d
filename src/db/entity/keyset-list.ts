import { and, type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { DataError } from '../errors.js';
import { keptStatements, withPlainRows } from '../query/prepared.js';
import type { Entity, EntityRow } from './entity.js';
import type { FilterValues } from './filters.js';

/** Where a page ends: the sort key and the id of its last row. */
export interface Position {
  key: string;
  id: string;
}

export interface ListQuery {
  /** The most rows of a page; default 50. */
  limit?: number;
  /** The end of the page before, from its `next`. */
  after?: Position;
  /** One of the entity's sorts, with `-` in front for descending; default `-createdAt`. */
  sort?: string;
  /** The values of the entity's filters; every filter given must hold. */
  filters?: FilterValues;
}

export interface ListPage<Row> {
  rows: Row[];
  /** Where the next page begins; undefined on the last. */
  next?: Position;
}

interface Order {
  by: string;
  descending: boolean;
}

/** Statements kept for queries of different shapes: filters given, order, first page or a later one. */
const MAX_SHAPES = 200;
export const DEFAULT_LIMIT = 50;
export const DEFAULT_SORT = '-createdAt';

/**
 * Lists of one entity, paged by key (keyset pagination). Walking page after page while others write
 * meets every row once that exists all along; a row whose sort key changes meanwhile moves.
 *
 * The SQL, the key of the kept statement and the values are all derived from the entity's table of
 * filters, so that a filter is one line there.
 */
export function createKeysetList<Row extends EntityRow, Values extends object>(
  db: Db,
  entity: Entity<Row, Values>,
) {
  const kept = keptStatements(MAX_SHAPES);

  /** Throws `invalid_value` for a limit below 1, an unknown sort or an unknown filter. */
  async function list(query: ListQuery = {}): Promise<ListPage<Row>> {
    const { limit = DEFAULT_LIMIT, after, filters = {} } = query;
    checkLimit(limit);
    const order = orderOf(entity, query.sort);
    const names = namesOf(entity, filters);
    const shape = [order.by, order.descending, after !== undefined, ...names].join();
    const statement = kept(shape, () => prepare(order, names, after !== undefined));
    const values = Object.fromEntries(
      names.map((name) => [`filter_${name}`, toValue(filters[name])]),
    );
    const rows = (await statement.execute({
      ...values,
      limit: limit + 1, // one more tells whether there is a next page
      afterKey: after?.key,
      afterId: after?.id,
    })) as Row[];
    const page = rows.length > limit ? rows.slice(0, limit) : rows;
    return {
      rows: page,
      next: rows.length > limit ? positionOf(page.at(-1)!, order) : undefined,
    };
  }

  function prepare({ by, descending }: Order, names: string[], isLaterPage: boolean) {
    const { id } = entity.table;
    const key = entity.columns[by]!;
    const direction = sql.raw(descending ? 'desc' : 'asc');
    const comparison = sql.raw(descending ? '<' : '>');
    const afterCursor = sql`(${key}, ${id}) ${comparison}
      (${sql.placeholder('afterKey')}::${sql.raw(key.getSQLType())}, ${sql.placeholder('afterId')}::uuid)`;
    const conditions: SQL[] = names.map((name) =>
      entity.filters[name]!.where(sql`${sql.placeholder(`filter_${name}`)}`),
    );
    return withPlainRows(
      db
        .select(entity.columns)
        .from(entity.table)
        .where(and(...conditions, isLaterPage ? afterCursor : undefined))
        .orderBy(sql`${key} ${direction}, ${id} ${direction}`)
        .limit(sql.placeholder('limit'))
        .prepare(`list ${entity.name}`),
    );
  }

  return { list };
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

/** The filters given, in one order whatever the order of the request. */
function namesOf({ filters }: Entity, values: FilterValues): string[] {
  const names = Object.keys(values).filter((name) => values[name] !== undefined);
  const unknown = names.find((name) => !Object.hasOwn(filters, name));
  if (unknown !== undefined) {
    throw new DataError('invalid_value', `There is no filter ${unknown}.`);
  }
  return names.sort();
}

function toValue(value: unknown): unknown {
  return value instanceof Date ? value.toISOString() : value;
}

function positionOf(row: EntityRow, { by }: Order): Position {
  return { key: String((row as unknown as Record<string, unknown>)[by]), id: row.id };
}
