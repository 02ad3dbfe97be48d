import { sql } from 'drizzle-orm';
import type { Db } from './connection.js';

/** Resolves when the database answers. Throws what `asDataError` finds when it does not. */
export async function ping(db: Db): Promise<void> {
  await db.execute(sql`select 1`);
}
