import type { DatabaseUrl } from './database-url.js';

/** The settings of every session of a pool. Times are in milliseconds; 0 means no limit. */
export interface SessionSettings {
  url: DatabaseUrl;
  applicationName: string;
  /** The server cancels a statement after this time. */
  statementTimeoutMs: number;
  /**
   * A server that does not answer at all is abandoned after this time, which is longer than the statement timeout.
   */
  deadlineMs: number;
  /** The server ends a transaction that its client leaves idle for this time. */
  idleInTransactionTimeoutMs: number;
  /** Accept also a server in recovery, for connections that only read. */
  acceptStandby: boolean;
  /** If set, a session that leads to another server is refused, or closed when the server has changed. */
  server?: KnownServer;
  /**
   * Use prepared statements on the server. This is off behind a transaction pooler, and so are startup parameters.
   */
  prepare: boolean;
  /** The parsers of drizzle by type OID. Drizzle takes dates as text and converts them itself. */
  parsers: Record<number, (text: string) => unknown>;
  /** The channel that the session listens to. */
  listen?: Listen;
}

/** One server. PostgreSQL has no identifier that its replicas do not share, so its start time identifies it. */
export interface KnownServer {
  /** pg_postmaster_start_time() as text; undefined if it is not known yet. */
  startedAt: string | undefined;
}

export interface Listen {
  channel: string;
  /** Called for every notification, and once when the session starts to listen. */
  onNotify: () => void;
}

export interface QueryOptions {
  /** Return rows as arrays. */
  values?: boolean;
  prepare?: boolean;
}

/** Returns the parameters that a session sends when it connects. */
export function startupParameters(settings: SessionSettings): Record<string, string> {
  const { applicationName, prepare, statementTimeoutMs, idleInTransactionTimeoutMs } = settings;
  return {
    application_name: applicationName,
    // A role or a database may have other values of these settings, which the parsers could not read.
    DateStyle: 'ISO',
    TimeZone: 'UTC',
    ...(prepare && {
      statement_timeout: String(statementTimeoutMs),
      idle_in_transaction_session_timeout: String(idleInTransactionTimeoutMs),
    }),
    ...settings.url.settings,
  };
}
