import { tsImport } from 'tsx/esm/api';
import { useMemoryFolder } from './memory-folder.js';

// This imports the source, so that a test file runs without a build. Jest compiles the imports of tests, but not
// those of this file.
const { startTestServer } = await tsImport('../../src/db/embedded/test-server.ts', import.meta.url);
const { migrate } = await tsImport('../../src/db/migrate.ts', import.meta.url);

/**
 * Provides one PostgreSQL for the whole run, with a migrated template to copy: the one of TEST_SERVER_URL, or a new
 * one.
 */
export default async function globalSetup() {
  const removeFolder = useMemoryFolder();
  const server = await startTestServer({
    url: process.env.TEST_SERVER_URL,
    templates: { migrated: (url) => migrate({ url }) },
  }).catch((error) => {
    removeFolder();
    throw error;
  });
  if (server.notice) console.error(server.notice);
  process.env.TEST_DATABASE_URL = server.url;
  globalThis.endTestRun = async () => {
    await server.stop();
    removeFolder();
  };
}
