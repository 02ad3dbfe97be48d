import { sql } from 'drizzle-orm';
import { type Db, notingPositions } from '../connection.js';
import { carryPosition } from '../query/noted-positions.js';
import { DataError } from '../errors.js';
import { type Author, authorValues, WRITE_AUTHOR } from './author.js';
import { batched } from '../query/batched.js';
import { isTransaction } from '../query/drizzle-internals.js';
import { statementCache, prepareOnce, withPlainRows } from '../query/prepared.js';
import { retryStatement } from '../transaction.js';
import { placeholders, rowPlaceholders } from './placeholders.js';
import { createInBatches, type NewRow } from './batched-inserts.js';
import { type RowUpdate, updateInBatches } from './batched-updates.js';
import { explaining } from './explain-refusal.js';
import { checkedId } from './checked-id.js';
import { withDefaults } from './defaults.js';
import type { Entity, EntityRow } from './entity.js';
import { firstVersion, WAS_INSERTED } from './first-version.js';
import {
  isNotAt,
  matching,
  meets,
  notFound,
  shapeOf,
  versionMismatch,
  type WriteCondition,
} from './write-conditions.js';

export interface WriteOptions extends WriteCondition {
  /** The author, for the history; default: none. */
  by?: Author;
}

/** The maximum number of rows that one call reads by their ids. */
const MAX_IDS = 1000;

/** The number of cached statements, one for each shape of a write: its columns and conditions. */
const MAX_SHAPES = 100;

/**
 * Reads and writes of single rows of an entity, on the pool or on an open transaction. Each write is one statement, so
 * that it is atomic without a transaction.
 *
 * Each may throw an error that `asDataError` recognizes: the codes below, and `invalid_value`, `conflict`,
 * `statement_timeout`, `pool_exhausted` and `database_unavailable`.
 */
export function createVersionedRows<Row extends EntityRow, Values extends object>(
  db: Db,
  entity: Entity<Row, Values>,
) {
  const { table, columns, written, normalize } = entity;
  const cached = statementCache(MAX_SHAPES);
  const writing = notingPositions(db);
  const withIds = prepareOnce(() =>
    db
      .select(columns)
      .from(table)
      .where(sql`${table.id} = any(${sql.placeholder('ids')}::uuid[])`)
      .prepare(`${entity.name} ids`),
  );

  /** Returns the existing rows with these ids, in the order of the ids. Throws `invalid_value` for more than 1000 ids. */
  async function getMany(ids: string[]): Promise<Row[]> {
    if (ids.length > MAX_IDS)
      throw new DataError(
        'invalid_value',
        `${ids.length} ids are too many for one read. Pass at most ${MAX_IDS} ids in one call.`,
      );
    const byId = await read(ids.map(checkedId));
    return ids.map((id) => byId.get(id.toLowerCase())).filter((row) => row !== undefined);
  }

  async function read(ids: string[]): Promise<Map<string, Row>> {
    const rows = (await withIds().execute({ ids })) as unknown as Row[];
    return new Map(rows.map((row) => [row.id, row]));
  }

  const readById = batched(read);

  /**
   * Throws `not_found`. Concurrent callers share a read. Each gets its own row, whose lists and objects are shared.
   */
  async function get(id: string): Promise<Row> {
    return { ...((await readById(checkedId(id))) ?? notFound(entity)) };
  }

  const insert = prepareOnce(() =>
    writing
      .insert(table)
      .values(rowPlaceholders(entity, written) as never)
      .returning({ ...columns, ...WRITE_AUTHOR })
      .prepare(`${entity.name} insert`),
  );

  async function createOne({ values, by }: NewRow<Values>): Promise<Row> {
    const [row] = await insert().execute({ ...values, ...authorValues(by) });
    return row as unknown as Row;
  }

  // In a transaction, a refused statement of several rows could not be repeated row by row to find the reason.
  const createAny =
    entity.insertTriggers && !isTransaction(db)
      ? createInBatches(writing, entity, createOne)
      : createOne;

  /**
   * Creates a row. Omitted values have the default of their column. Throws `already_exists`, with the fields, if a
   * unique column already has the value.
   */
  async function create(values: Values, by: Author = {}): Promise<Row> {
    return await createAny({ values: withDefaults(entity, normalize(values)), by });
  }

  /**
   * Replaces the row, or creates it with this id; `created` is true in the second case. With `versions` it only
   * replaces. Throws `version_mismatch` if the condition is not met.
   */
  async function put(
    id: string,
    values: Values,
    options: WriteOptions = {},
  ): Promise<{ row: Row; created: boolean }> {
    const { versions } = options;
    if (versions) {
      const row = await updateRow(id, withDefaults(entity, values), options, rowPlaceholders);
      return { row: row ?? versionMismatch(entity), created: false };
    }
    const putAny = cached(`put ${shapeOf(options)}`, () =>
      together(rowPlaceholders, written, options, upsertOne(options), (row) => ({
        row,
        created: false,
      })),
    );
    const found = await putAny(updateOf(id, withDefaults(entity, normalize(values)), options));
    return found ?? versionMismatch(entity);
  }

  function upsertOne({ notVersions }: WriteCondition) {
    const set = rowPlaceholders(entity, written);
    const version = firstVersion(entity.name, sql`${sql.placeholder('id')}`);
    const upsert = writing
      .insert(table)
      .values({ id: sql.placeholder('id'), ...set, version } as never)
      .onConflictDoUpdate({
        target: table.id,
        set: set as never,
        setWhere: notVersions && isNotAt(entity, notVersions),
      })
      .returning({ ...columns, ...WRITE_AUTHOR, created: WAS_INSERTED });
    const statement = withPlainRows(upsert.prepare(`${entity.name} put`), ['created']);
    return async (update: RowUpdate): Promise<{ row: Row; created: boolean } | undefined> => {
      const [found] = await retryStatement(db, () => statement.execute(parametersOf(update)));
      if (!found) return undefined;
      const { created, ...row } = found as Record<string, unknown>;
      carryPosition(found, row);
      return { row: row as unknown as Row, created: created as boolean };
    };
  }

  /** Combines updates of one shape if the entity allows it, and not in a transaction, as for `createAny`. */
  function together<Result>(
    form: typeof placeholders,
    names: readonly string[],
    conditions: WriteCondition,
    updateOne: (update: RowUpdate) => Promise<Result>,
    resultOf: (row: Row) => Result,
  ): (update: RowUpdate) => Promise<Result> {
    const isTogether = entity.updateTriggers && names.every((name) => entity.kinds[name]);
    const isCreation = conditions.notVersions === 'any';
    if (!isTogether || isCreation || isTransaction(db)) return updateOne;
    const condition = meets(entity, conditions, sql`given.versions`, sql`given."notVersions"`);
    const shape = { names, nullIsDefault: form === rowPlaceholders, condition };
    return updateInBatches(writing, entity, shape, updateOne, resultOf);
  }

  /** Changes the given columns, at least one. Throws `not_found`, `version_mismatch`. */
  async function update(
    id: string,
    values: Partial<Values>,
    options: WriteOptions = {},
  ): Promise<Row> {
    return (await updateRow(id, values, options)) ?? (await notMatching(id, options));
  }

  async function updateRow(
    id: string,
    values: Partial<Values>,
    options: WriteOptions,
    form: typeof placeholders = placeholders,
  ): Promise<Row | undefined> {
    const names = written.filter((name) => values[name as keyof Values] !== undefined);
    const updateAny = cached(`${form.name} ${names.join()} ${shapeOf(options)}`, () => {
      const statement = withPlainRows(
        writing
          .update(table)
          .set(form(entity, names) as never)
          .where(matching(entity, options))
          .returning({ ...columns, ...WRITE_AUTHOR })
          .prepare(`${entity.name} update`),
      );
      const updateOne = async (update: RowUpdate) => {
        const [row] = await statement.execute(parametersOf(update));
        return row as unknown as Row | undefined;
      };
      return together(form, names, options, updateOne, (row): Row | undefined => row);
    });
    return await updateAny(updateOf(id, normalize(values), options));
  }

  /**
   * Removes the row and resolves with its last state. Throws `not_found`, `version_mismatch`, and `still_referenced` if
   * other rows refer to it.
   */
  async function remove(id: string, options: WriteOptions = {}): Promise<Row> {
    const statement = cached(`delete ${shapeOf(options)}`, () =>
      withPlainRows(
        writing
          .delete(table)
          .where(matching(entity, options))
          .returning({ ...columns, ...WRITE_AUTHOR })
          .prepare(`${entity.name} delete`),
      ),
    );
    const [row] = await statement.execute(parametersOf(updateOf(id, {}, options)));
    return (row as unknown as Row | undefined) ?? (await notMatching(id, options));
  }

  /** Throws the reason why a write matched no row: the row does not exist, or its condition is not met. */
  async function notMatching(id: string, { versions, notVersions }: WriteCondition) {
    if (!versions && !notVersions) return notFound(entity);
    await get(id);
    return versionMismatch(entity);
  }

  return {
    get,
    getMany,
    create: explaining(entity, create),
    put: explaining(entity, put),
    update: explaining(entity, update),
    remove: explaining(entity, remove, { isRemoval: true }),
  };
}

function updateOf(
  id: string,
  values: object,
  { versions, notVersions, by = {} }: WriteOptions,
): RowUpdate {
  return {
    id: checkedId(id),
    values,
    versions: `{${String(versions)}}`,
    notVersions: `{${String(notVersions)}}`,
    by,
  };
}

function parametersOf({ values, by, ...row }: RowUpdate): Record<string, unknown> {
  return { ...values, ...row, ...authorValues(by) };
}
