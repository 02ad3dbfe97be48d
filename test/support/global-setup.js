import { chmodSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../../dist/db/embedded-postgres.js';
import { migrate } from '../../dist/db/migrate.js';
import { EMPTY_TEMPLATE, MIGRATED_TEMPLATE } from './templates.js';

/** One PostgreSQL for the whole run, tuned for speed over durability, with a migrated template to clone. */
export default async function globalSetup() {
  const directory = mkdtempSync(path.join(tmpdir(), 'projects-service-test-'));
  // When the tests run as root, the server runs as another user.
  chmodSync(directory, 0o755);
  const server = await startEmbeddedPostgres({
    directory,
    settings: {
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      max_connections: '400',
    },
  });
  process.env.TEST_DATABASE_URL = server.url;
  globalThis.testPostgres = { server, directory };

  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  await sql.unsafe(`create database ${EMPTY_TEMPLATE}`);
  await sql.unsafe(`create database ${MIGRATED_TEMPLATE}`);
  await sql.end();
  const template = new URL(server.url);
  template.pathname = MIGRATED_TEMPLATE;
  await migrate({ url: template.href });
}
