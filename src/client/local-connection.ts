import type { Db } from '../db/connection.js';
import { getDatabaseToken } from '../db/database.module.js';
import type { Transport } from './transport.js';
import { localTransport } from './local-transport.js';

/** The token that ProjectsClientModule injects for a client in this process, and the function that creates its transport. */
export function localConnection({ actor, database }: { actor?: string; database?: string }) {
  return {
    inject: [getDatabaseToken(database)],
    connect: (db: unknown): Transport => localTransport(db as Db, { actor }),
  };
}
