import type { ExtractTablesWithRelations } from 'drizzle-orm';
import { drizzle, type PostgresJsQueryResultHKT } from 'drizzle-orm/postgres-js';
import type { PgDatabase } from 'drizzle-orm/pg-core';
import type { Sql } from 'postgres';
import { PooledDriver, type TransactionLimits } from './driver/driver.js';
import { asDrizzleClient, clientOf, type DrizzleOptions } from './query/drizzle-internals.js';
import { Pool, type PoolStats } from './driver/pool.js';
import * as schema from './schema.js';
import { parseDatabaseUrl } from './driver/database-url.js';
import type { KnownServer, SessionSettings } from './driver/session-settings.js';
import { timerMs } from './driver/timer.js';

/** Only `url` is required. Times are in seconds, as in postgres.js, unless the name ends in `_ms`. */
export type TDatabaseConfig = {
  /** postgres://user:password@host:port/database, with the syntax of libpq (docs/configuration.md). */
  url: string;
  /** The maximum number of connections; default 10. */
  max?: number;
  /** The seconds after which an unused connection is closed; default 20, 0 keeps it open. */
  idle_timeout?: number;
  /** The maximum seconds to open a connection; default 10. */
  connect_timeout?: number;
  /** The maximum duration of a statement, enforced by the server; default 5000, 0 means no limit. */
  statement_timeout_ms?: number;
  /** The maximum wait for a free connection; default 2000, 0 means no limit. */
  acquire_timeout_ms?: number;
  /** The maximum duration of a transaction; default 15000, 0 means no limit. */
  transaction_timeout_ms?: number;
  /** Use prepared statements; set it to false behind a transaction pooler. Default true. */
  prepare?: boolean;
  /** Accept also a standby, for a connection that only reads; default false. */
  accept_standby?: boolean;
  /** The name in pg_stat_activity; default `projects-service`. */
  application_name?: string;
};

/** The pool or an open transaction. Factories are created from it. */
export type Db = PgDatabase<
  PostgresJsQueryResultHKT,
  typeof schema,
  ExtractTablesWithRelations<typeof schema>
>;

export interface DatabaseConnection {
  db: Db;
  /** Returns the current use of the pool. */
  stats: () => PoolStats;
  /**
   * True if the server that was used last, or the pooler in front of it, accepts connections. This also holds for a
   * busy one, where a statement would wait.
   */
  isListening: (timeoutMs: number) => Promise<boolean>;
  /** Waits until running work finishes, by default up to five seconds, then closes every connection. It may be called twice. */
  close: (timeoutMs?: number) => Promise<void>;
}

/**
 * The time that a server may exceed its own limit before it counts as silent. It is less than a second, so that a
 * request is answered within a second after the statement timeout.
 */
const ANSWER_GRACE_MS = 800;
/** The tag that postgres.js also has. */
const DEFAULT_MAX = 10;
const MAX_WAITING = 10_000;
const APPLICATION_NAME = 'projects-service';
const CLOSE_TIMEOUT_MS = 5000;

/**
 * Creates drizzle on a pool of connections to PostgreSQL. It connects at the first query. Throws
 * DatabaseUrlError if the URL is missing or not valid.
 *
 * Guarantees beyond those of postgres.js (docs/database/overview.md, "Connection"): the wait for a connection
 * is limited and ends with `pool_exhausted`; if a server stops answering, a statement fails one second after
 * its timeout; a transaction whose connection is lost is rolled back; the first query after an outage
 * connects immediately.
 */
export function createDatabaseConnection(config: TDatabaseConfig): DatabaseConnection {
  return register(open(config), config);
}

/** Does the same; all sessions lead to the known server, also if the URL is a name of several. */
export function connectToServer(config: TDatabaseConfig, server: KnownServer): DatabaseConnection {
  return register(open(config, { server }), config);
}

function register(connection: DatabaseConnection, config: TDatabaseConfig): DatabaseConnection {
  configs.set(connection.db, config);
  readings.set(connection.db, connection.stats);
  return connection;
}

/** The configurations of the connections, to create further connections from them. */
const configs = new WeakMap<Db, TDatabaseConfig>();

const readings = new WeakMap<Db, () => PoolStats>();

/** Returns the current use of the pool of `db`; undefined if createDatabaseConnection did not create it. */
export function poolStats(db: Db): PoolStats | undefined {
  return readings.get(db)?.();
}

/** Returns the maximum number of connections of `db`. */
export function mostConnections(db: Db): number {
  const config = configs.get(db);
  if (config) return config.max || DEFAULT_MAX;
  const client = clientOf(db) as Partial<Sql> | undefined;
  return client?.options?.max ?? DEFAULT_MAX;
}

/**
 * Creates a separate connection to the database of `db`, with some changed settings; undefined if
 * createDatabaseConnection did not create `db`.
 */
export function connectBeside(
  db: Db,
  changed: Partial<TDatabaseConfig>,
): DatabaseConnection | undefined {
  const config = configs.get(db);
  return config && open({ ...config, ...changed });
}

/**
 * Creates a separate connection with one session that listens to a channel (LISTEN). `onNotify` is called at
 * each notification, and whenever the session is opened. Notifications may be lost together with a session,
 * so treat them only as a hint. Undefined if listening is not possible: createDatabaseConnection did not
 * create `db`, or it connects through a transaction pooler.
 */
export function listenBeside(
  db: Db,
  channel: string,
  onNotify: () => void,
): DatabaseConnection | undefined {
  const config = configs.get(db);
  if (!config || config.prepare === false) return undefined;
  const application_name = `${config.application_name ?? APPLICATION_NAME} listener`;
  return open(
    { ...config, application_name, max: 1, idle_timeout: 0 },
    { listen: { channel, onNotify } },
  );
}

function open(
  config: TDatabaseConfig,
  { listen, server }: Pick<SessionSettings, 'listen' | 'server'> = {},
): DatabaseConnection {
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
    server,
  });
  const driver = new PooledDriver(pool, { prepare, transactionTimeoutMs }, options);
  return {
    db: drizzle(asDrizzleClient(driver), { schema }),
    stats: () => pool.stats,
    isListening: (timeoutMs) => pool.isListening(timeoutMs),
    close: (timeoutMs = CLOSE_TIMEOUT_MS) => pool.close(timeoutMs),
  };
}

function checkNumbers(config: TDatabaseConfig): void {
  for (const [name, value] of Object.entries(config)) {
    if (typeof value === 'number' && !(value >= 0)) {
      throw new RangeError(`The database setting ${name} must be 0 or a positive number.`);
    }
  }
}

/**
 * Returns the same database with other limits for its transactions, for work that takes longer than a
 * request. An open transaction keeps its own limits.
 */
export function withTransactionLimits(db: Db, limits: TransactionLimits): Db {
  const driver = clientOf(db);
  if (!(driver instanceof PooledDriver)) return db;
  return drizzle(asDrizzleClient(driver.withLimits(limits)), { schema });
}

const noting = new WeakMap<PooledDriver, Db>();

/**
 * Returns the same database for writes: while `wantPositions` is set, a WAL position behind each statement and each
 * transaction is noted for its result (`notedPosition`). An open transaction is returned as it is.
 */
export function notingPositions(db: Db): Db {
  const driver = clientOf(db);
  if (!(driver instanceof PooledDriver)) return db;
  let other = noting.get(driver);
  if (!other) {
    other = drizzle(asDrizzleClient(driver.notingPositions()), { schema });
    noting.set(driver, other);
  }
  return other;
}

/** Sets whether the writes of `notingPositions(db)` note positions. */
export function wantPositions(db: Db, areWanted: boolean): void {
  const driver = clientOf(db);
  if (driver instanceof PooledDriver) driver.wantPositions(areWanted);
}
