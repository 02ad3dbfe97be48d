import { type SQL, sql } from 'drizzle-orm';
import type { Change } from '../schema.js';

/** What the documents of a page come to, but for its last change: one has up to a third of a megabyte. */
const MAX_PAGE_BYTES = 1024 * 1024;

/** Of the table `changes`, as a page holds them. */
export const CHANGE_COLUMNS = sql`sequence, change_set, entity, entity_id, version, action,
  before, after, actor, request_id, api_moment(at) as at`;

/** As PostgreSQL answers it. */
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
  /** How many were found for the page, of which there is one more than `limit` at most. */
  found: string;
}

/**
 * Of the statement `rows`, made for `limit` and one more, those that make a page: up to `limit`, and
 * no more once their documents have come to a megabyte. `order` is that of the rows.
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

/** Whether more was found than the page holds. */
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
