import { notedPosition, notePosition } from './noted-positions.js';
import { mapRowsBy, type Query, selectedFields } from './drizzle-internals.js';

/**
 * Returns a function that prepares the query at its first call, so that a factory of a transaction
 * prepares only the queries that it uses.
 */
export function prepareOnce<Q extends Query>(prepare: () => Q): () => Q {
  let query: Q | undefined;
  return () => (query ??= withPlainRows(prepare()));
}

/**
 * Replaces drizzle's row mapper of a query on one table by a plain loop. Drizzle's mapper checks the kind
 * of the column for each value of each row (docs/performance.md, "Rows"). The columns convert their values
 * as usual. Selected expressions that are not columns are dropped unless `extra` names them.
 * A position that was noted for the result of a write is noted for each of its rows.
 */
export function withPlainRows<Q extends Query>(query: Q, extra: string[] = []): Q {
  const fields = selectedFields(query).filter(({ name, column }) => column || extra.includes(name));
  mapRowsBy(query, (rows) => {
    const position = notedPosition(rows);
    const mapped = rows.map((values) => {
      const row: Record<string, unknown> = {};
      for (const { at, name, column } of fields) {
        const value = values[at];
        row[name] = value === null || !column ? value : column.mapFromDriverValue(value);
      }
      notePosition(row, position);
      return row;
    });
    emptyRows(rows);
    return mapped;
  });
  return query;
}

/**
 * Empties a result that is no longer needed. Results of postgres.js survive the young generation of the
 * garbage collector together with everything that they reference. If they are emptied, a collection under
 * a load of lists takes a quarter of the time (node --trace-gc).
 */
export function emptyRows(rows: unknown[]): void {
  rows.length = 0;
}

/**
 * Makes the query return its rows as arrays of PostgreSQL's texts, in the order of the columns, without
 * conversion to values.
 */
export function withTexts<Row extends (string | null)[]>(
  query: Query,
): { execute(values: Record<string, unknown>): Promise<Row[]> } {
  mapRowsBy(query, (rows) => rows);
  return query as unknown as ReturnType<typeof withTexts<Row>>;
}

/** Returns a cache for up to `max` keys. Values for further keys are created at each call. */
export function statementCache(max: number): <S>(key: string, make: () => S) => S {
  const cached = new Map<string, unknown>();
  return <S>(key: string, make: () => S): S => {
    const known = cached.get(key);
    if (known !== undefined) return known as S;
    const made = make();
    if (cached.size < max) cached.set(key, made);
    return made;
  };
}
