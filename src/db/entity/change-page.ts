import { type SQL, sql } from 'drizzle-orm';
import type { Change } from '../schema.js';

/**
 * The limit in bytes for the documents of a page without its last change, which may have a third of a mebibyte. The
 * whole answer fits into one mebibyte, the usual maximum of a message over NATS (max_payload).
 */
const MAX_PAGE_BYTES = 512 * 1024;

/** The columns of the table `changes` in a page. */
export const CHANGE_COLUMNS = sql`sequence, change_set, entity, entity_id, version, action,
  before, after, actor, request_id, api_moment(at) as at`;

/** A row of a page, as PostgreSQL returns it. */
export interface ChangeRow extends Record<string, unknown> {
  sequence: string;
  change_set: string;
  entity: string;
  entity_id: string;
  version: number;
  action: Change['action'];
  before: unknown;
  after: unknown;
  actor: string;
  request_id: string;
  at: string;
  /** The number of rows that were found for the page, at most one more than `limit`. */
  found: string;
}

/**
 * Limits the statement `rows`, which selects `limit` + 1 rows, to a page: at most `limit` rows, and none after their
 * documents add up to half a mebibyte. `order` is the order of the rows.
 */
export function pageOf(rows: SQL, { order, limit }: { order: SQL; limit: number }): SQL {
  return sql`
    select * from (
      select *, count(*) over () as found, row_number() over (order by ${order}) as place,
        sum(coalesce(octet_length(before::text), 0) + coalesce(octet_length(after::text), 0))
          over (order by ${order} rows between unbounded preceding and 1 preceding) as bytes_before
      from (${rows}) as found
    ) as numbered
    where place <= ${limit} and coalesce(bytes_before, 0) < ${MAX_PAGE_BYTES}
    order by place`;
}

/** True if more rows were found than the page contains. */
export function isCut(page: ChangeRow[]): boolean {
  return page.length > 0 && Number(page[0]!.found) > page.length;
}

export function toChange(row: ChangeRow): Change {
  return {
    sequence: Number(row.sequence),
    changeSet: Number(row.change_set),
    entity: row.entity,
    entityId: row.entity_id,
    version: row.version,
    action: row.action,
    before: row.before,
    after: row.after,
    actor: row.actor,
    requestId: row.request_id,
    at: row.at,
  };
}
