import type { DatabaseUrl } from './database-url.js';

/** The settings of every session of a pool. Times are in milliseconds; 0 means no limit. */
export interface SessionSettings {
  url: DatabaseUrl;
  applicationName: string;
  /** Ends a statement at the server. */
  statementTimeoutMs: number;
  /** Gives up a server that does not answer at all; longer than the statement timeout. */
  deadlineMs: number;
  /** Ends a transaction that its client has left open, at the server. */
  idleInTransactionTimeoutMs: number;
  /** Takes a server in recovery too: for connections that only read. */
  acceptStandby: boolean;
  /** Server-side prepared statements; off behind a transaction pooler, as are startup parameters. */
  prepare: boolean;
  /** drizzle's parsers by type OID: it takes dates as text and maps them itself. */
  parsers: Record<number, (text: string) => unknown>;
  /** The channel that the session listens to. */
  listen?: Listen;
}

export interface Listen {
  channel: string;
  /** Called for every notification, and once when the session begins to hear them. */
  onNotify: () => void;
}

export interface QueryOptions {
  /** Rows as arrays. */
  values?: boolean;
  prepare?: boolean;
}

/** Returns the parameters that a session sends when it connects. */
export function startupParameters(settings: SessionSettings): Record<string, string> {
  const { applicationName, prepare, statementTimeoutMs, idleInTransactionTimeoutMs } = settings;
  return {
    application_name: applicationName,
    // A role or a database may have other settings, which the parsers could not read.
    DateStyle: 'ISO',
    TimeZone: 'UTC',
    ...(prepare && {
      statement_timeout: String(statementTimeoutMs),
      idle_in_transaction_session_timeout: String(idleInTransactionTimeoutMs),
    }),
    ...settings.url.settings,
  };
}
