import type { EmbeddedPostgres } from '../db/embedded/embedded-postgres.js';
import type { Environment } from './environment.js';

/** Returns the database of DATABASE_URL, or starts an embedded one, which `stop` ends unless another process uses it. */
export async function databaseServer(environment: Environment): Promise<EmbeddedPostgres> {
  const { DATABASE_URL, EMBEDDED_POSTGRES_DIR } = environment;
  if (DATABASE_URL) return { url: DATABASE_URL, stop: () => Promise.resolve() };
  const { startEmbeddedPostgres } = await import('../db/embedded/embedded-postgres.js');
  return await startEmbeddedPostgres({ directory: EMBEDDED_POSTGRES_DIR });
}
