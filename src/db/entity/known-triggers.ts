import { sql } from 'drizzle-orm';
import { getTableConfig } from 'drizzle-orm/pg-core';
import type { Db } from '../connection.js';
import type { Entity } from './entity.js';
import { quoteIdentifier } from './quoting.js';

/** The bits of `pg_trigger.tgtype`, and the triggers that `track_changes` creates. */
const EVENTS = {
  insert: { bit: 4, tracking: ['changes_created'], own: 'insertTriggers' },
  update: { bit: 16, tracking: ['changes_updated', 'touch_row'], own: 'updateTriggers' },
} as const;

/**
 * Returns true if the table has only triggers of this library and of the entity for the event. Another trigger may
 * ask for the author of a write or expect a single row, so its table is written by a statement for each row.
 */
export async function hasKnownTriggersOnly(
  db: Db,
  entity: Entity,
  event: keyof typeof EVENTS,
): Promise<boolean> {
  const { bit, tracking, own } = EVENTS[event];
  const { schema, name } = getTableConfig(entity.table);
  const qualified = [schema, name].flatMap((part) => (part ? quoteIdentifier(part) : [])).join('.');
  const known = [...(entity[own] ?? []), ...tracking.map((suffix) => `${name}_${suffix}`)];
  const others = await db.execute(sql`
    select from pg_trigger where tgrelid = ${qualified}::regclass and not tgisinternal
      and tgtype & ${bit}::integer > 0 and tgname <> all (${sql.param(known)}::text[])`);
  return others.length === 0;
}
