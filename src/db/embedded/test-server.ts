import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { onServer, templateName } from './test-database.js';

export interface TestServerOptions {
  /**
   * The URL of a running server whose role may create databases. Only one test run at a time can use it. Without a
   * URL, a server is started from the package `embedded-postgres`.
   */
  url?: string;
  /** Settings of the started server, such as `{ max_connections: '200' }`. */
  settings?: Record<string, string>;
  /**
   * Functions by the names of the templates. Each fills the database that tests copy: `{ migrated: (url) => migrate({
   * url }) }`.
   */
  templates: Record<string, (url: string) => Promise<unknown>>;
}

export interface TestServer {
  /** The URL for `createTestDatabase`, in this process or another. */
  readonly url: string;
  /** The location of the server's files, if they could not be in the requested directory. */
  readonly notice?: string;
  /** Removes the templates, and the server if it was started for them. */
  stop(): Promise<void>;
}

/** These settings trade durability for speed, because nobody needs these databases after a crash. */
const SETTINGS = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  scram_iterations: '1', // 4,096 by default, which cost a client 2 ms of processor time to connect
  max_connections: '400',
};

/**
 * Starts a PostgreSQL for a test run and creates its templates. Call it once for each run, before the tests, such as
 * in the `globalSetup` of Jest or Vitest, and pass `url` to the tests.
 */
export async function startTestServer(options: TestServerOptions): Promise<TestServer> {
  const names = Object.keys(options.templates).map(templateName);
  const server = options.url
    ? existingServer(options.url, names)
    : await startServer(options.settings);
  try {
    await onServer(server.url, names.map(dropOf)); // a killed run may have left it
    for (const [name, fill] of Object.entries(options.templates)) {
      await onServer(server.url, [`create database ${templateName(name)}`]);
      const template = new URL(server.url);
      template.pathname = templateName(name);
      await fill(template.href);
    }
    return server;
  } catch (error) {
    await server.stop().catch(() => undefined); // the first failure is the more useful one
    throw error;
  }
}

function dropOf(database: string): string {
  return `drop database if exists ${database} with (force)`;
}

function existingServer(url: string, names: string[]): TestServer {
  return { url, stop: () => onServer(url, names.map(dropOf)) };
}

async function startServer(settings: Record<string, string> = {}): Promise<TestServer> {
  const directory = await mkdtemp(path.join(tmpdir(), 'projects-service-test-'));
  await chmod(directory, 0o755); // for root, PostgreSQL runs as another user
  const server = await startEmbeddedPostgres({
    directory,
    settings: { ...SETTINGS, ...settings },
  });
  return {
    url: server.url,
    notice: server.notice,
    stop: async () => {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
