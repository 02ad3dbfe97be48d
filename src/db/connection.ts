import type { ExtractTablesWithRelations } from 'drizzle-orm';
import { drizzle, type PostgresJsQueryResultHKT } from 'drizzle-orm/postgres-js';
import type { PgDatabase } from 'drizzle-orm/pg-core';
import type { Sql } from 'postgres';
import { PooledDriver, type TransactionLimits } from './driver/driver.js';
import type { DrizzleOptions } from './driver/pending-query.js';
import { Pool, type PoolStats } from './driver/pool.js';
import * as schema from './schema.js';
import { parseDatabaseUrl } from './driver/database-url.js';
import type { Listen } from './driver/session.js';
import { timerMs } from './driver/timer.js';

/** Only `url` is required. Times are seconds where the names are the driver's, milliseconds where they say so. */
export type TDatabaseConfig = {
  /** postgres://user:password@host:port/database, as libpq reads it (docs/configuration.md). */
  url: string;
  /** Most connections at once; default 10. */
  max?: number;
  /** Seconds after which an unused connection is closed; default 20, 0 keeps it. */
  idle_timeout?: number;
  /** Seconds to wait for a connection to be made; default 10. */
  connect_timeout?: number;
  /** Longest statement, ended by the server; default 5000, 0 is no limit. */
  statement_timeout_ms?: number;
  /** Longest wait for a free connection; default 2000, 0 is no limit. */
  acquire_timeout_ms?: number;
  /** Longest transaction; default 15000, 0 is no limit. */
  transaction_timeout_ms?: number;
  /** Prepared statements; false behind a transaction pooler. Default true. */
  prepare?: boolean;
  /** Accept a standby too, for a connection that only reads; default false. */
  accept_standby?: boolean;
  /** As pg_stat_activity shows it; default `projects-service`. */
  application_name?: string;
};

/** The pool or an open transaction: what a factory is made of. */
export type Db = PgDatabase<
  PostgresJsQueryResultHKT,
  typeof schema,
  ExtractTablesWithRelations<typeof schema>
>;

export interface DatabaseConnection {
  db: Db;
  /** How the pool is used at this moment. */
  stats: () => PoolStats;
  /**
   * Whether the server that was used last, or the pooler before it, accepts connections. A busy one does, although
   * a statement would wait.
   */
  isListening: (timeoutMs: number) => Promise<boolean>;
  /** Lets running work finish, for up to five seconds by default, then closes every connection. Safe to call twice. */
  close: (timeoutMs?: number) => Promise<void>;
}

/**
 * A server that is slower than its own limit plus this has stopped answering. Less than a second, so
 * that a request is answered within a second of the statement timeout.
 */
const ANSWER_GRACE_MS = 800;
/** Also of postgres.js. */
const DEFAULT_MAX = 10;
const MAX_WAITING = 10_000;
const APPLICATION_NAME = 'projects-service';
const CLOSE_TIMEOUT_MS = 5000;

/**
 * drizzle on a pool of connections to PostgreSQL. Connects at the first query, not before. Throws
 * DatabaseUrlError for a URL that is missing or cannot be used.
 *
 * What its callers may rely on, beyond postgres.js (see docs/database/overview.md, "Connection"):
 * the wait for a connection is bounded and ends in `pool_exhausted`; a server that stops answering
 * is given up after the statement timeout and a second; a transaction whose connection is lost
 * leaves nothing behind; the first query after an outage connects at once.
 */
export function createDatabaseConnection(config: TDatabaseConfig): DatabaseConnection {
  const connection = open(config);
  configs.set(connection.db, config);
  readings.set(connection.db, connection.stats);
  return connection;
}

/** What connections were made of, to make others beside them. */
const configs = new WeakMap<Db, TDatabaseConfig>();

const readings = new WeakMap<Db, () => PoolStats>();

/** How the pool of `db` is used at this moment; undefined for a connection that is not ours. */
export function poolStats(db: Db): PoolStats | undefined {
  return readings.get(db)?.();
}

/** The most connections that `db` has at once. */
export function mostConnections(db: Db): number {
  const config = configs.get(db);
  if (config) return config.max || DEFAULT_MAX;
  const { $client: client } = db as { $client?: Partial<Sql> };
  return client?.options?.max ?? DEFAULT_MAX;
}

/**
 * A connection of its own to the database of `db`, with some settings changed; undefined where `db` is
 * not of createDatabaseConnection.
 */
export function connectBeside(
  db: Db,
  changed: Partial<TDatabaseConfig>,
): DatabaseConnection | undefined {
  const config = configs.get(db);
  return config && open({ ...config, ...changed });
}

/**
 * A connection beside `db`, of one session, which hears what is notified on a channel for as long as
 * it is used: `onNotify` is called then, and whenever the session is opened. A notification may be
 * lost with a session, so that it is never more than a hint. Undefined where there is no hearing: `db`
 * is not of createDatabaseConnection, or it leads through a transaction pooler.
 */
export function listenBeside(
  db: Db,
  channel: string,
  onNotify: () => void,
): DatabaseConnection | undefined {
  const config = configs.get(db);
  if (!config || config.prepare === false) return undefined;
  const application_name = `${config.application_name ?? APPLICATION_NAME} listener`;
  return open({ ...config, application_name, max: 1, idle_timeout: 0 }, { channel, onNotify });
}

function open(config: TDatabaseConfig, listen?: Listen): DatabaseConnection {
  checkNumbers(config);
  const url = parseDatabaseUrl(config.url);
  const statementTimeoutMs = timerMs(config.statement_timeout_ms ?? 5000);
  const transactionTimeoutMs = timerMs(config.transaction_timeout_ms ?? 15_000);
  const { prepare = true } = config;
  const options: DrizzleOptions = { parsers: {}, serializers: {} };
  const pool = new Pool({
    url,
    max: config.max || DEFAULT_MAX,
    idleTimeoutMs: (config.idle_timeout ?? 20) * 1000,
    connectTimeoutMs: timerMs(
      (url.connectTimeoutMs ?? (config.connect_timeout || 10) * 1000) || Infinity,
    ),
    acquireTimeoutMs: timerMs(config.acquire_timeout_ms ?? 2000),
    maxWaiting: MAX_WAITING,
    statementTimeoutMs,
    deadlineMs: statementTimeoutMs > 0 ? timerMs(statementTimeoutMs + ANSWER_GRACE_MS) : 0,
    idleInTransactionTimeoutMs: transactionTimeoutMs,
    acceptStandby: config.accept_standby ?? false,
    prepare,
    applicationName: config.application_name ?? APPLICATION_NAME,
    parsers: options.parsers,
    listen,
  });
  const driver = new PooledDriver(pool, { prepare, transactionTimeoutMs }, options);
  return {
    db: drizzle(driver as unknown as Sql, { schema }),
    stats: () => pool.stats,
    isListening: (timeoutMs) => pool.isListening(timeoutMs),
    close: (timeoutMs = CLOSE_TIMEOUT_MS) => pool.close(timeoutMs),
  };
}

function checkNumbers(config: TDatabaseConfig): void {
  for (const [name, value] of Object.entries(config)) {
    if (typeof value === 'number' && !(value >= 0)) {
      throw new RangeError(`The database setting ${name} must be a number from 0.`);
    }
  }
}

/**
 * The same database for work that takes longer than a request may: its transactions have these limits
 * instead of those of the connection. An open transaction keeps its own.
 */
export function withTransactionLimits(db: Db, limits: TransactionLimits): Db {
  const { $client: driver } = db as { $client?: unknown };
  if (!(driver instanceof PooledDriver)) return db;
  return drizzle(driver.withLimits(limits) as unknown as Sql, { schema });
}
