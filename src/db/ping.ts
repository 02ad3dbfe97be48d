import { sql } from 'drizzle-orm';
import type { Db } from './connection.js';

/** Resolves when the database answers. Throws an error that `asDataError` recognizes if it does not. */
export async function ping(db: Db): Promise<void> {
  await db.execute(sql`select 1`);
}
