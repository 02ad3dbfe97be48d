import { sql } from 'drizzle-orm';
import { getTableConfig } from 'drizzle-orm/pg-core';
import type { Db } from '../connection.js';
import type { Entity } from './entity.js';
import { quoteIdentifier, quoteLiteral } from './quoting.js';

/**
 * Describes what is wrong, with the remedy, if the triggers of `track_changes` are not active on the table of the
 * entity, or write changes of another entity. Undefined if they are, or if the table does not exist. It takes one
 * statement.
 */
export async function trackingFault(db: Db, { name, table }: Entity): Promise<string | undefined> {
  const { schema, name: tableName } = getTableConfig(table);
  const parts = [schema, tableName].flatMap((part) => part ?? []);
  const quoted = parts.map(quoteIdentifier).join('.');
  const tracking = ['created', 'updated', 'deleted'].map(
    (event) => `${tableName}_changes_${event}`,
  );
  // The functions of the triggers contain the name of the entity, in the name of a setting.
  const [found] = await db.execute<{ exists: boolean; complete: boolean }>(sql`
    select relation is not null as exists, 4 = (
      select count(*) from pg_trigger join pg_proc on pg_proc.oid = tgfoid
      where tgrelid = relation and tgenabled in ('O', 'A') and (
        tgname = ${`${tableName}_touch_row`}
        or tgname = any(${sql.param(tracking)}::text[])
          and position(format('changes.set_%s''', encode(convert_to(${name}, 'UTF8'), 'hex')) in prosrc) > 0
      )
    ) as complete from to_regclass(${quoted}) as relation`);
  if (!found!.exists || found!.complete) return undefined;
  const call = `SELECT track_changes(${quoteLiteral(quoted)}, ${quoteLiteral(name)});`;
  return `The table ${parts.join('.')} does not have the active triggers of track_changes for the entity ${name}, so writes would be missing in its history and its change feed. Apply a migration with this call: ${call}`;
}
