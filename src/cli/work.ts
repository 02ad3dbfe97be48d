import { databaseConfig } from '../config/database-config.js';
import { databaseServer } from '../config/database-server.js';
import { readCommandEnvironment } from '../config/command-environment.js';
import type { Environment } from '../config/environment.js';
import { createDatabaseConnection, type Db, type TDatabaseConfig } from '../db/connection.js';
import { interruptible, type OnInterrupt } from './interruption.js';
import { print, type Streams } from './terminal.js';

/** The surroundings of a command: its streams, signals and environment. */
export interface CommandContext {
  streams: Streams;
  onInterrupt: OnInterrupt;
  /** The environment variables; default: those of the process. */
  variables?: Record<string, string | undefined>;
}

export interface WorkContext {
  environment: Environment;
  streams: Streams;
  /** Aborted at an interrupt. Work that ignores the signal runs to its end. */
  signal: AbortSignal;
}

type Work<T> = (on: T, context: WorkContext) => Promise<void>;

/** Runs the work with the database of DATABASE_URL, or with the embedded one. */
export async function onDatabase(
  { streams, onInterrupt, variables }: CommandContext,
  work: Work<TDatabaseConfig>,
): Promise<void> {
  await interruptible(onInterrupt, async (signal) => {
    const environment = readCommandEnvironment(variables);
    const server = await databaseServer(environment);
    if (server.notice) print(streams.errors, server.notice);
    try {
      signal.throwIfAborted();
      const config = databaseConfig({ ...environment, DATABASE_URL: server.url });
      await work(config, { environment, streams, signal });
    } finally {
      await server.stop();
    }
  });
}

/** Does the same as `onDatabase`, with an open connection. */
export async function onConnection(context: CommandContext, work: Work<Db>): Promise<void> {
  await onDatabase(context, async (config, workContext) => {
    const { db, close } = createDatabaseConnection(config);
    try {
      await work(db, workContext);
    } finally {
      await close();
    }
  });
}
