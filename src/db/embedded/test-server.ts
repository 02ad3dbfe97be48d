import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startEmbeddedPostgres } from './embedded-postgres.js';
import { onServer, templateName } from './test-database.js';

export interface TestServerOptions {
  /**
   * A server that runs already, whose role may create databases; one run of tests at a time. Without
   * it a server is started from the package `embedded-postgres`.
   */
  url?: string;
  /** Settings of a server that is started, such as `{ max_connections: '200' }`. */
  settings?: Record<string, string>;
  /** By name, what fills a database that tests clone: `{ migrated: (url) => migrate({ url }) }`. */
  templates: Record<string, (url: string) => Promise<unknown>>;
}

export interface TestServer {
  /** For `createTestDatabase`, in this process or another. */
  readonly url: string;
  /** Says where the files of the server are, when they could not be where they were wanted. */
  readonly notice?: string;
  /** Removes the templates, and the server when it was started for them. */
  stop(): Promise<void>;
}

/** Faster than durable: nobody needs these databases after a crash. */
const SETTINGS = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  scram_iterations: '1', // 4,096 by default, which cost a client 2 ms of processor time to connect
  max_connections: '400',
};

/**
 * One real PostgreSQL for a run of tests, with its templates. Call it once a run, before the tests, such
 * as in the `globalSetup` of Jest or Vitest, and hand `url` to the tests.
 */
export async function startTestServer(options: TestServerOptions): Promise<TestServer> {
  const names = Object.keys(options.templates).map(templateName);
  const server = options.url
    ? existingServer(options.url, names)
    : await startServer(options.settings);
  try {
    await onServer(server.url, names.map(dropOf)); // of a run that was killed
    for (const [name, fill] of Object.entries(options.templates)) {
      await onServer(server.url, [`create database ${templateName(name)}`]);
      const template = new URL(server.url);
      template.pathname = templateName(name);
      await fill(template.href);
    }
    return server;
  } catch (error) {
    await server.stop().catch(() => undefined); // the first failure says more
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
