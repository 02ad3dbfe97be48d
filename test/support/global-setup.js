import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import postgres from 'postgres';
import { tsImport } from 'tsx/esm/api';
import { EMPTY_TEMPLATE, MIGRATED_TEMPLATE } from './templates.js';

// From source, so that a test file runs without a build. Jest compiles what tests import, but not this file's imports.
const { startEmbeddedPostgres } = await tsImport(
  '../../src/db/embedded/embedded-postgres.ts',
  import.meta.url,
);
const { migrate } = await tsImport('../../src/db/migrate.ts', import.meta.url);

/** One PostgreSQL for the whole run, with a migrated template to clone: that of TEST_SERVER_URL, or one of its own. */
export default async function globalSetup() {
  const server = await serverOf(process.env.TEST_SERVER_URL);
  process.env.TEST_DATABASE_URL = server.url;
  globalThis.testPostgres = server;

  await onServer(server.url, [
    `create database ${EMPTY_TEMPLATE}`,
    `create database ${MIGRATED_TEMPLATE}`,
  ]);
  const template = new URL(server.url);
  template.pathname = MIGRATED_TEMPLATE;
  await migrate({ url: template.href });
}

async function serverOf(url) {
  if (!url) return await startServer();
  const dropTemplates = () =>
    onServer(url, [
      `drop database if exists ${EMPTY_TEMPLATE}`,
      `drop database if exists ${MIGRATED_TEMPLATE}`,
    ]);
  await dropTemplates(); // of a run that was killed
  return { url, stop: dropTemplates };
}

/** Tuned for speed over durability. */
async function startServer() {
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
  if (server.notice) console.error(server.notice);
  return {
    url: server.url,
    stop: async () => {
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function onServer(url, statements) {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    for (const statement of statements) await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}
