import { and, type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { errorCodeOf } from '../errors.js';
import { batched } from '../query/batched.js';
import { prepareOnce } from '../query/prepared.js';
import { type Author, WRITE_AUTHORS } from './author.js';
import { REFUSAL } from './batched-inserts.js';
import { orDefault } from './defaults.js';
import type { Entity, EntityRow } from './entity.js';
import { hasKnownTriggersOnly } from './known-triggers.js';
import { castTypeOf, toArrayOf } from './cast-type.js';
import { columnOf } from './written-columns.js';

export interface RowUpdate {
  id: string;
  /** The values of all columns of the shape, in their stored form. */
  values: object;
  /** The array literals of the conditions: `{1,2}`. */
  versions: string;
  notVersions: string;
  by: Author;
}

/** The key of the statement: updates with the same shape can share it. */
export interface UpdateShape {
  names: readonly string[];
  /**
   * Null stands for an omitted value in a PUT, which gets the SQL default of its column. In a PATCH, null is a value.
   */
  nullIsDefault: boolean;
  /** The condition on a row; it may use `given.versions` and `given."notVersions"`. */
  condition: SQL | undefined;
}

const MAX_ROWS = 32;
/** The result for a row that the statement for several rows has updated, or the one of `updateOne`. */
type Outcome<Row, Result> = { updated: Row } | { result: PromiseSettledResult<Result> };

/**
 * Updates rows of one shape; those of the same moment by one statement, so by one transaction. Each row has its own
 * values, condition and author. The statement takes only rows that no transaction has locked, so it never waits and
 * never deadlocks. Every other row goes to `updateOne`: one that is locked, does not exist or does not meet its
 * condition, the second one with the same id, and all of them if the database refuses the statement, or if the table
 * has a foreign trigger on UPDATE.
 */
export function updateInBatches<Row extends EntityRow, Result>(
  db: Db,
  entity: Entity<Row>,
  shape: UpdateShape,
  updateOne: (update: RowUpdate) => Promise<Result>,
  resultOf: (row: Row) => Result,
): (update: RowUpdate) => Promise<Result> {
  const statement = prepareOnce(() => prepareUpdate(db, entity, shape));
  let isFree: boolean | undefined;

  async function updateAll(updates: RowUpdate[]): Promise<Map<RowUpdate, Outcome<Row, Result>>> {
    const [first] = updates;
    if (updates.length === 1) {
      const [result] = await Promise.allSettled([updateOne(first!)]);
      return new Map([[first!, { result: result }]]);
    }
    isFree ??= await hasKnownTriggersOnly(db, entity, 'update');
    if (!isFree) return new Map();
    const byId = new Map(updates.toReversed().map((update) => [update.id, update]));
    try {
      const rows = await statement().execute(valuesOf(entity, shape, [...byId.values()]));
      return new Map(
        (rows as unknown as Row[]).map((row) => [byId.get(row.id)!, { updated: row }]),
      );
    } catch (error) {
      if (!REFUSAL.test(errorCodeOf(error) ?? '')) throw error;
      return new Map();
    }
  }

  const updateBatched = batched(updateAll, {
    sizeOf: (waiting) => Math.min(MAX_ROWS, waiting),
  });

  return async (update) => {
    const outcome = await updateBatched(update);
    if (!outcome) return await updateOne(update);
    if ('updated' in outcome) return resultOf(outcome.updated);
    if (outcome.result.status === 'rejected') throw outcome.result.reason;
    return outcome.result.value;
  };
}

/** The statement takes arrays, so that it serves any number of rows. */
function prepareUpdate(db: Db, entity: Entity, shape: UpdateShape) {
  const { names, nullIsDefault, condition } = shape;
  const { table, columns } = entity;
  const array = (name: string, type: string) => toArrayOf(type, sql`${sql.placeholder(name)}`);
  const values = names.map((name) => array(name, castTypeOf(columns[name]!)));
  const given = sql`unnest(${sql.join(
    [array('id', 'uuid'), ...values, array('versions', 'text'), array('notVersions', 'text')],
    sql`, `,
  )}) as given (${sql.join(
    [sql`id`, ...names.map((name) => columnOf(entity, name)), sql`versions`, sql`"notVersions"`],
    sql`, `,
  )})`;
  const unlocked = sql`(
    with unlocked as materialized (
      select id from ${table} where id = any(${array('id', 'uuid')}) for no key update skip locked
    ) select given.* from unlocked join ${given} on given.id = unlocked.id) as given`;
  const set = names.map((name) => {
    const value = sql`given.${columnOf(entity, name)}`;
    return [name, nullIsDefault ? orDefault(columns[name]!, value) : value];
  });
  return db
    .update(table)
    .set(Object.fromEntries(set) as never)
    .from(unlocked)
    .where(and(sql`${table.id} = given.id`, condition))
    .returning({ ...columns, authors: WRITE_AUTHORS })
    .prepare(`${entity.name} updates`);
}

function valuesOf(
  { kinds }: Entity,
  { names }: UpdateShape,
  updates: RowUpdate[],
): Record<string, unknown> {
  const valueOf = (name: string, values: object) => {
    const value = (values as Record<string, unknown>)[name];
    return value === null ? null : kinds[name]!.toParameter(value);
  };
  const columns = names.map((name) => [name, updates.map(({ values }) => valueOf(name, values))]);
  return {
    ...(Object.fromEntries(columns) as Record<string, unknown>),
    id: updates.map(({ id }) => id),
    versions: updates.map(({ versions }) => versions),
    notVersions: updates.map(({ notVersions }) => notVersions),
    authors: JSON.stringify(Object.fromEntries(updates.map(({ id, by }) => [id, by]))),
  };
}
