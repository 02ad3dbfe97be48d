import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { errorCodeOf } from '../errors.js';
import { batched } from '../query/batched.js';
import { statementCache, withPlainRows } from '../query/prepared.js';
import { type Author, WRITE_AUTHORS } from './author.js';
import type { Entity, EntityRow } from './entity.js';
import { hasKnownTriggersOnly } from './known-triggers.js';
import { rowPlaceholders } from './placeholders.js';

export interface NewRow<Values> {
  /** The values in their stored form. */
  values: Values;
  by: Author;
}

/** The sizes of all batches are powers of two, so that there are few statements to prepare. */
const MAX_ROWS = 32;
const MAX_RUNNING = 2;
const sizeOf = (waiting: number) => Math.min(MAX_ROWS, 2 ** Math.floor(Math.log2(waiting)));

/**
 * The errors by which PostgreSQL refuses a row: the SQLSTATE classes of data, constraints and conflicts, and RAISE in
 * a trigger.
 */
export const REFUSAL = /^(22|23|40|44|P0)/;

/**
 * Inserts rows. Rows that are created at the same time share one statement, and therefore one transaction. Under load
 * a row then costs the database a third of a separate statement. Each row has its own author. If the database refuses
 * a row, each row is inserted by a separate statement, so that only the caller of that row gets the error. The same
 * holds if the table has a foreign trigger on INSERT, which may read the author or expect one row.
 */
export function createInBatches<Row extends EntityRow, Values extends object>(
  db: Db,
  entity: Entity<Row, Values>,
  insertOne: (row: NewRow<Values>) => Promise<Row>,
): (row: NewRow<Values>) => Promise<Row> {
  type Outcome = PromiseSettledResult<Row>;
  const cached = statementCache(MAX_ROWS);

  let isFree: boolean | undefined;

  async function insertAll(rows: NewRow<Values>[]): Promise<Outcome[]> {
    if (rows.length > 1) isFree ??= await hasKnownTriggersOnly(db, entity, 'insert');
    if (rows.length === 1 || !isFree) return await Promise.allSettled(rows.map(insertOne));
    const statement = cached(String(rows.length), () => prepareInsert(db, entity, rows.length));
    const ids = rows.map(() => randomUUID() as string);
    try {
      const inserted = (await statement.execute(valuesOf(rows, ids))) as unknown as Row[];
      return outcomesOf(ids, inserted);
    } catch (error) {
      if (!REFUSAL.test(errorCodeOf(error) ?? '')) throw error;
      return await Promise.allSettled(rows.map(insertOne));
    }
  }

  const insertBatched = batched<NewRow<Values>, Outcome>(
    async (rows) => {
      const outcomes = await insertAll(rows);
      return new Map(rows.map((row, at) => [row, outcomes[at]!]));
    },
    { maxRunning: MAX_RUNNING, sizeOf },
  );

  return async (row) => {
    const outcome = (await insertBatched(row))!;
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  };
}

function outcomesOf<Row extends EntityRow>(
  ids: string[],
  rows: Row[],
): PromiseSettledResult<Row>[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => {
    const value = byId.get(id);
    if (value) return { status: 'fulfilled', value };
    return {
      status: 'rejected',
      reason: new Error('A trigger of the table prevented the insertion of a row.'),
    };
  });
}

function prepareInsert(db: Db, entity: Entity, size: number) {
  const rows = Array.from({ length: size }, (_, at) => ({
    id: sql.placeholder(`id${at}`),
    ...rowPlaceholders(entity, entity.written, String(at)),
  }));
  const insert = db
    .insert(entity.table)
    .values(rows as never)
    .returning({ ...entity.columns, authors: WRITE_AUTHORS });
  return withPlainRows(insert.prepare(`${entity.name} insert ${size}`));
}

function valuesOf(rows: NewRow<object>[], ids: string[]): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  rows.forEach(({ values }, at) => {
    given[`id${at}`] = ids[at];
    for (const [name, value] of Object.entries<unknown>({ ...values }))
      given[`${name}${at}`] = value;
  });
  const authors = Object.fromEntries(rows.map(({ by }, at) => [ids[at]!, by] as const));
  return { ...given, authors: JSON.stringify(authors) };
}
