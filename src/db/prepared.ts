import { Column, is } from 'drizzle-orm';
import type { PgPreparedQuery, PreparedQueryConfig } from 'drizzle-orm/pg-core';

/** What drizzle-orm 0.45.4 keeps in a prepared query of one table (postgres-js/session.js). */
interface Prepared {
  fields: { path: string[]; field: unknown }[];
  customResultMapper?: (rows: unknown[][]) => unknown[];
}

type Query = PgPreparedQuery<PreparedQueryConfig>;

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
 * values as ever; what is selected beside them is left out.
 */
export function withPlainRows<Q extends Query>(query: Q): Q {
  const prepared = query as unknown as Prepared;
  const columns = prepared.fields.flatMap(({ path, field }, at) =>
    is(field, Column) ? [{ at, name: path[0]!, field }] : [],
  );
  prepared.customResultMapper = (rows) =>
    rows.map((values) => {
      const row: Record<string, unknown> = {};
      for (const { at, name, field } of columns) {
        const value = values[at];
        row[name] = value === null ? null : field.mapFromDriverValue(value);
      }
      return row;
    });
  return query;
}
