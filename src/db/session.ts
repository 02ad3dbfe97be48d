import net from 'node:net';
import postgres from 'postgres';
import { DataError } from './errors.js';

/** What every session of a pool is opened with. Times in milliseconds; 0 is no limit. */
export interface SessionSettings {
  url: string;
  applicationName: string;
  connectTimeoutMs: number;
  /** Ends a statement at the server. */
  statementTimeoutMs: number;
  /** Gives up a server that does not answer at all; longer than the statement timeout. */
  deadlineMs: number;
  /** Ends a transaction that its client has left open, at the server. */
  idleInTransactionTimeoutMs: number;
  /** Server-side prepared statements; off behind a transaction pooler, as are startup parameters. */
  prepare: boolean;
  /** drizzle's parsers and serializers by type OID: it takes dates and JSON as text and maps them itself. */
  types: { parsers: object; serializers: object };
}

export type Rows = postgres.RowList<postgres.Row[]>;

/**
 * One connection to PostgreSQL: a postgres.js client of `max: 1` that is given one statement at a
 * time and is thrown away when its connection ends.
 *
 * Why not the driver's own pool: its queue slows down with every query served, it sends queries
 * behind busy connections, and it reconnects under an open transaction, so that the rest of it runs
 * outside (porsager/postgres issues 1208, 1154, 1066). A client of one connection with at most one
 * statement under way meets none of that code. The socket is ours, so that a server that has
 * stopped answering can be left at once.
 */
export class Session {
  /** Why the connection is no more; a session that has it is never used again. */
  lost: Error | undefined;
  /** When the session became idle, by performance.now(). */
  idleSince = 0;
  /** For the pool: the connection has ended, whoever ended it. */
  onLost: (() => void) | undefined;
  /** For the borrower: the same, while something other than a statement is awaited. */
  onInterrupt: ((reason: Error) => void) | undefined;

  readonly #settings: SessionSettings;
  readonly #client: postgres.Sql;
  #socket: net.Socket | undefined;
  #nextHost = 0;
  #rejectRunning: ((reason: Error) => void) | undefined;

  private constructor(settings: SessionSettings) {
    this.#settings = settings;
    const { prepare, statementTimeoutMs, idleInTransactionTimeoutMs } = settings;
    this.#client = postgres(settings.url, {
      max: 1,
      idle_timeout: 0,
      max_lifetime: null,
      connect_timeout: settings.connectTimeoutMs / 1000,
      backoff: () => 0,
      prepare,
      onnotice: () => {},
      onclose: () => this.#end(unreachable()),
      connection: {
        application_name: settings.applicationName,
        ...(prepare && {
          statement_timeout: statementTimeoutMs,
          idle_in_transaction_session_timeout: idleInTransactionTimeoutMs,
        }),
      },
      socket: (options: DriverOptions) => this.#connect(options),
    } as postgres.Options<Record<string, never>>);
    Object.assign(this.#client.options.parsers, settings.types.parsers);
    Object.assign(this.#client.options.serializers, settings.types.serializers);
  }

  /** A session that is connected and answers; rejects with the driver's or the socket's error. */
  static async open(settings: SessionSettings): Promise<Session> {
    const session = new Session(settings);
    await session.query('select 1', [], { deadlineMs: settings.connectTimeoutMs });
    return session;
  }

  /**
   * Runs one statement and resolves with its rows, as arrays if `values`. Rejects with the server's
   * error; with `database_unavailable` when the connection is lost or nothing came back within the
   * deadline, which ends the session: whether the statement took effect is then unknown.
   */
  query(text: string, params: unknown[], options: QueryOptions = {}): Promise<Rows> {
    if (this.lost) return Promise.reject(this.lost);
    const { deadlineMs = this.#settings.deadlineMs, prepare = false } = options;
    return new Promise((resolve, reject) => {
      this.#rejectRunning = reject;
      const timer =
        deadlineMs > 0
          ? setTimeout(() => this.destroy(noAnswer(deadlineMs)), deadlineMs)
          : undefined;
      const query = this.#client.unsafe(text, params as never[], { prepare });
      (options.values ? query.values() : query).then(
        (rows) => {
          clearTimeout(timer);
          resolve(rows as Rows);
        },
        (error: Error) => {
          clearTimeout(timer);
          // All but the server's answer to this very statement is the end of the connection.
          if (isAnswer(error)) reject(error);
          else this.destroy(error);
        },
      );
    });
  }

  /** Leaves the connection at once; what runs on it is rejected with `reason`. */
  destroy(reason: Error): void {
    this.#end(reason);
    this.#socket?.destroy(reason);
  }

  /** Says goodbye to the server and resolves when the connection is closed, within a second. */
  async close(): Promise<void> {
    this.#end(unreachable());
    await this.#client.end({ timeout: 1 });
    this.#socket?.destroy();
  }

  #end(reason: Error): void {
    if (this.lost) return;
    this.lost = reason;
    this.#rejectRunning?.(reason);
    this.onInterrupt?.(reason);
    this.onLost?.();
  }

  /** The driver's socket, to the first of the hosts that answers; called again when a host is not the one wanted. */
  async #connect(options: DriverOptions): Promise<net.Socket> {
    let refused = unreachable();
    for (let tries = options.host.length; tries > 0 && !this.lost; tries--) {
      const index = this.#nextHost++ % options.host.length;
      const address = options.path
        ? { path: options.path }
        : { host: options.host[index]!, port: options.port[index]! };
      try {
        return await this.#connectTo(address);
      } catch (error) {
        refused = error as Error;
      }
    }
    // The driver would keep silent while it has a host left.
    this.#end(refused);
    throw refused;
  }

  #connectTo(address: net.TcpNetConnectOpts | net.IpcNetConnectOpts): Promise<net.Socket> {
    const socket = (this.#socket = net.connect({ ...address, noDelay: true }));
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        // The driver reads the server's name for TLS from the socket.
        resolve(Object.assign(socket, 'host' in address && { host: address.host }));
      });
    });
  }
}

export interface QueryOptions {
  values?: boolean;
  prepare?: boolean;
  deadlineMs?: number;
}

interface DriverOptions {
  host: string[];
  port: number[];
  path?: string;
}

function isAnswer(error: Error): boolean {
  return (
    error instanceof postgres.PostgresError &&
    error.severity !== 'FATAL' &&
    error.severity !== 'PANIC'
  );
}

function unreachable(): Error {
  return new DataError('database_unavailable', 'The connection to the database was lost.');
}

function noAnswer(deadlineMs: number): DataError {
  return new DataError(
    'database_unavailable',
    `The database did not answer within ${deadlineMs} ms.`,
  );
}
