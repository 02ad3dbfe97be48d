import { type SQL, sql, type SQLWrapper } from 'drizzle-orm';

/**
 * The maximum number of bytes of JSON in one page, unless its first row alone has more. With the
 * page, the answer has at most one mebibyte, which is the usual maximum of a message over NATS (`max_payload`).
 */
export const MAX_PAGE_BYTES = 1024 * 1024 - 8 * 1024;

/** Pages up to this limit are read completely, because measuring costs more than it saves (docs/performance.md, "Pages"). */
const FEW_ROWS = 50;

/** True if the database measures a page with this limit; otherwise it is measured when its JSON is built. */
export function isMeasured(limit: number): boolean {
  return limit > FEW_ROWS;
}

/** A condition on the rows of `measuredRows`: the row fits into the page. It is false for the extra last row. */
export const FITS = sql`coalesce(bytes_before, 0) < ${sql.raw(String(MAX_PAGE_BYTES))}`;

/**
 * Limits the ordered statement `rows` to the rows whose text columns `sized` add up to a mebibyte, plus
 * one more row if there is one. So the database never sends a page of many mebibytes.
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

/** Counts the bytes of a page while it is built. */
export class PageBytes {
  #bytes = 0;

  /** Counts this JSON and returns true if it fits into the page. The first one always fits. */
  takes(json: string): boolean {
    const isFirst = this.#bytes === 0;
    this.#bytes += Buffer.byteLength(json);
    return isFirst || this.#bytes <= MAX_PAGE_BYTES;
  }
}
