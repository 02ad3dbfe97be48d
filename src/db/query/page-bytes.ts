import { type SQL, sql, type SQLWrapper } from 'drizzle-orm';

/** The most bytes of JSON in one page, unless its first row alone has more. */
export const MAX_PAGE_BYTES = 1024 * 1024;

/** Up to so many rows are read whole: measuring each costs more than it saves (docs/performance.md, "Pages"). */
const FEW_ROWS = 50;

/** Whether a page of this limit is measured by the database, or only when its JSON is made. */
export function isMeasured(limit: number): boolean {
  return limit > FEW_ROWS;
}

/** Whether the columns that `measuredRows` has measured fit. False of the last row of a page that is cut. */
export const FITS = sql`coalesce(bytes_before, 0) < ${sql.raw(String(MAX_PAGE_BYTES))}`;

/**
 * Of the statement `rows`, which is ordered and limited, the rows whose text columns `sized` come to a
 * megabyte, and one more if there is one: so the database never sends a page of many megabytes.
 */
export function measuredRows(rows: SQLWrapper, sized: readonly string[]): SQL {
  const size = sql.join(
    sized.map((name) => sql`coalesce(octet_length(${sql.identifier(name)}::text), 0)`),
    sql` + `,
  );
  return sql`(
    select * from (
      select *, sum(${size}) over before as bytes_before, lag(${size}) over before as last_bytes
      from (${rows}) as found
      window before as (rows between unbounded preceding and 1 preceding)
    ) as measured
    where coalesce(bytes_before - last_bytes, 0) < ${sql.raw(String(MAX_PAGE_BYTES))})`;
}

/** Counts the bytes of a page while it is made. */
export class PageBytes {
  #bytes = 0;

  /** Whether the page has room for this JSON, which is then counted. The first always fits. */
  takes(json: string): boolean {
    const isFirst = this.#bytes === 0;
    this.#bytes += Buffer.byteLength(json);
    return isFirst || this.#bytes <= MAX_PAGE_BYTES;
  }
}
