import { Column, is } from 'drizzle-orm';
import type { PgPreparedQuery, PreparedQueryConfig } from 'drizzle-orm/pg-core';

/** What drizzle-orm 0.45.4 keeps in a prepared query of one table (postgres-js/session.js). */
interface Prepared {
  fields: { path: string[]; field: unknown }[];
  customResultMapper?: (rows: unknown[][]) => unknown[];
}

type Query = PgPreparedQuery<PreparedQueryConfig>;

const AS_IT_IS = { mapFromDriverValue: (value: unknown) => value };

/**
 * The query that `prepare` gives, made at the first call, so that a factory of a transaction makes
 * only what it uses.
 */
export function prepareOnce<Q extends Query>(prepare: () => Q): () => Q {
  let query: Q | undefined;
  return () => (query ??= withPlainRows(prepare()));
}

/**
 * The same query of one table, its rows made by a plain loop: drizzle's own asks anew of each value
 * of each row what kind of column it is (docs/performance.md, "Rows"). The columns convert the
 * values as ever; what is selected beside them is left out, but for what is named.
 */
export function withPlainRows<Q extends Query>(query: Q, beside: string[] = []): Q {
  const prepared = query as unknown as Prepared;
  const columns = prepared.fields.flatMap(({ path, field }, at) =>
    is(field, Column) || beside.includes(path[0]!)
      ? [{ at, name: path[0]!, field: is(field, Column) ? field : AS_IT_IS }]
      : [],
  );
  prepared.customResultMapper = (rows) => {
    const mapped = rows.map((values) => {
      const row: Record<string, unknown> = {};
      for (const { at, name, field } of columns) {
        const value = values[at];
        row[name] = value === null ? null : field.mapFromDriverValue(value);
      }
      return row;
    });
    emptyRows(rows);
    return mapped;
  };
  return query;
}

/**
 * For rows that are done with. What postgres.js has resolved with outlives the young generation of
 * the garbage collector, and with it all that hangs on it: emptied, a collection under a load of
 * lists takes a quarter of the time (node --trace-gc).
 */
export function emptyRows(rows: unknown[]): void {
  rows.length = 0;
}

/**
 * The same query with its rows as arrays of PostgreSQL's own texts, in the order of the columns, for
 * who has no use for values.
 */
export function withTexts<Row extends (string | null)[]>(
  query: Query,
): { execute(values: Record<string, unknown>): Promise<Row[]> } {
  (query as unknown as Prepared).customResultMapper = (rows) => rows;
  return query as unknown as ReturnType<typeof withTexts<Row>>;
}

/** Keeps what `make` has made for a key, for up to `max` keys; what comes later is made each time. */
export function statementCache(max: number): <S>(key: string, make: () => S) => S {
  const kept = new Map<string, unknown>();
  return <S>(key: string, make: () => S): S => {
    const known = kept.get(key);
    if (known !== undefined) return known as S;
    const made = make();
    if (kept.size < max) kept.set(key, made);
    return made;
  };
}
