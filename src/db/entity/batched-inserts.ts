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
  /** As they are stored. */
  values: Values;
  by: Author;
}

/** A power of two, as the size of every batch is: so there are few statements to prepare. */
const MAX_ROWS = 32;
const MAX_RUNNING = 2;
const sizeOf = (waiting: number) => Math.min(MAX_ROWS, 2 ** Math.floor(Math.log2(waiting)));

/** Errors by which PostgreSQL refuses a row: SQLSTATE classes of data, constraints, conflicts, and RAISE of a trigger. */
export const REFUSAL = /^(22|23|40|44|P0)/;

/**
 * Inserts rows, those of the same moment by one statement, so by one transaction: under load a row costs
 * the database a third of what a statement of its own does. Each row has the author that was named for
 * it. When the database refuses a row, each is inserted by its own statement, so that only the caller of
 * that row is told. So is each where the table has a trigger of others on INSERT, which may ask for the
 * author or expect one row.
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
