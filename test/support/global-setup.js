import { tsImport } from 'tsx/esm/api';

// From source, so that a test file runs without a build. Jest compiles what tests import, but not this file's imports.
const { startTestServer } = await tsImport('../../src/db/embedded/test-server.ts', import.meta.url);
const { migrate } = await tsImport('../../src/db/migrate.ts', import.meta.url);

/** One PostgreSQL for the whole run, with a migrated template to clone: that of TEST_SERVER_URL, or one of its own. */
export default async function globalSetup() {
  const server = await startTestServer({
    url: process.env.TEST_SERVER_URL,
    templates: { migrated: (url) => migrate({ url }) },
  });
  if (server.notice) console.error(server.notice);
  process.env.TEST_DATABASE_URL = server.url;
  globalThis.testPostgres = server;
}
