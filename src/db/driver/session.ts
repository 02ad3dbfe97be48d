import type net from 'node:net';
import type postgres from 'postgres';
import { asDataError, type DataError, errorCodeOf } from '../errors.js';
import {
  createClient,
  freeParameters,
  expectStream,
  isAnswer,
  isWhole,
  parsersOf,
  prepared,
  readBehind,
  type Rows,
} from './postgres-js.js';
import {
  BEYOND_ALL,
  END_OF_WAL,
  notePosition,
  type ServerPosition,
} from '../query/noted-positions.js';
import { ProtocolState } from './protocol-state.js';
import {
  connectionLost,
  isOtherServer,
  isStandby,
  miscounted,
  noAnswer,
} from './session-errors.js';
import { type QueryOptions, type SessionSettings, startupParameters } from './session-settings.js';
import { SilenceLimit } from './silence-limit.js';
import { notPostgresql, openSocket, type Target } from './socket.js';
import { parseArray, toText } from './text-format.js';

const READ_ONLY_TRANSACTION = '25006';
export const TOO_MANY_CONNECTIONS = '53300';
/** The time in which a server that is silent during a COPY must answer on another connection. */
const LIVENESS_MS = 1000;
const TIMEOUT_QUERY = `
  select setting as ms from pg_catalog.pg_settings where name = 'statement_timeout'`;

/** A backend that waits for its client to read has lost the connection to the client that waits for it. */
const isActive = (backend: number) => `
  select from pg_catalog.pg_stat_activity
  where pid = ${backend} and state = 'active' and wait_event is distinct from 'ClientWrite'`;

const STARTED_AT = 'select pg_catalog.pg_postmaster_start_time()::text as at';

/** One query reads the array types and whether the server accepts writes, so that it costs one round trip. */
const FIRST_QUERY = `
  select oid, typarray, typdelim, (select pg_catalog.pg_is_in_recovery()) as standby
  from pg_catalog.pg_type where typarray <> 0 and typrelid = 0`;

/**
 * One connection to PostgreSQL: a postgres.js client of `max: 1` that gets one statement at a time (and a read of the WAL
 * position behind a write). It is discarded when its connection ends.
 *
 * It does not use the driver's own pool for three reasons: the queue of that pool slows down with every query, it sends
 * queries behind busy connections, and it reconnects during an open transaction, so that the rest of the transaction runs
 * outside of it (porsager/postgres issues 1208, 1154, 1066). A client with one connection whose statements are all sent
 * immediately does not use this code. The socket is our own, so that a silent server can be abandoned at once, and so
 * that the driver cannot reconnect.
 */
export class Session {
  /** The reason why the connection was lost. A session with a reason is never used again. */
  lost: Error | undefined;
  /** True if the connection was lost because the server sent nothing within the deadline. */
  isSilent = false;
  /** The address of a standby, if the session was refused because of it. */
  standbyAt: string | undefined;
  /** On the clock of performance.now(), like `idleSince`. */
  readonly openedAt = performance.now();
  idleSince = 0;
  /** Called for the pool when the connection has ended, for any reason. */
  onLost: (() => void) | undefined;
  /** Called for the current user when the connection has ended while no statement was running. */
  onInterrupt: ((reason: Error) => void) | undefined;

  readonly #client: postgres.Sql;
  readonly #settings: SessionSettings;
  readonly #state = new ProtocolState();
  #socket: net.Socket | undefined;
  #rejectRunning: ((reason: Error) => void) | undefined;
  /** Ends the wait for the position behind a write. */
  #leavePosition: (() => void) | undefined;
  /** The texts of the writes that are prepared on this connection. */
  readonly #prepared = new Set<string>();
  #backend = 0;
  #startedAt: string | undefined;
  readonly #silence = new SilenceLimit(() => void this.#giveUp());
  /** A COPY may compute for any time before it sends something. */
  #isCopying = false;
  #hasOwnTimeout = false;

  /** Connects to the server at the first statement, but to none of the refused addresses. */
  constructor(
    settings: SessionSettings,
    readonly target: Target,
    private readonly refused: ReadonlySet<string> = new Set(),
  ) {
    this.#settings = settings;
    this.#client = createClient({
      url: settings.url,
      target,
      prepare: settings.prepare,
      connection: startupParameters(settings),
      parsers: settings.parsers,
      onNotify: () => settings.listen?.onNotify(),
      onClose: () => this.#end(this.#closedByServer()),
      openSocket: () => this.#openSocket(),
    });
  }

  /** True if the server is in a transaction, open or failed, according to its last message. */
  get inTransaction(): boolean {
    return this.#state.inTransaction;
  }

  /** The process id of the session's backend; behind a pooler a number of the pooler. */
  get backend(): number {
    return this.#backend;
  }

  /** True if the session leads to another server than its pool uses now. */
  get leadsElsewhere(): boolean {
    const { server } = this.#settings;
    return server !== undefined && server.startedAt !== this.#startedAt;
  }

  /** True if the session needs `settle` before it is used again. */
  get isUnsettled(): boolean {
    return this.#state.hasUncountedRows || this.#hasOwnTimeout;
  }

  /** Resolves when the server answers. Rejects with `database_unavailable`, at the latest at the deadline. */
  async connect(deadlineMs: number): Promise<void> {
    const parsers = parsersOf(this.#client);
    const connecting = setTimeout(() => this.destroy(noAnswer(deadlineMs)), deadlineMs);
    try {
      const types = await this.query(FIRST_QUERY, []);
      this.#backend = types.state.pid;
      if (types[0]?.standby && !this.#settings.acceptStandby) {
        this.standbyAt = this.#socket?.remoteAddress;
        throw isStandby();
      }
      if (this.#settings.server) {
        const [started] = await this.query(STARTED_AT, []);
        this.#startedAt = started!.at as string;
        if (this.leadsElsewhere) throw isOtherServer();
      }
      for (const { oid, typarray, typdelim } of types) {
        parsers[typarray as number] ??= (text: string) =>
          parseArray(text, typdelim as string, parsers[oid as number]);
      }
      const { listen, deadlineMs } = this.#settings;
      if (listen) await this.query(`listen ${listen.channel}`, []);
      listen?.onNotify();
      this.#silence.set(deadlineMs);
    } catch (error) {
      this.destroy(connectionLost(error));
      throw asDataError(error) ?? connectionLost(error);
    } finally {
      clearTimeout(connecting);
    }
  }

  /**
   * Runs one statement and resolves with its rows. Rejects with the server's error. Rejects with
   * `database_unavailable` if the connection is lost or nothing arrives within the deadline. This ends the session,
   * and it is unknown whether the statement took effect.
   */
  query(text: string, params: unknown[], options: QueryOptions = {}): Promise<Rows> {
    if (this.lost) return Promise.reject(this.lost);
    return new Promise((resolve, reject) => {
      const { values, prepare = false } = options;
      const query = this.#client.unsafe(text, params.map(toText) as never[], { prepare });
      if (params.length === 0) void expectStream(query);
      this.#rejectRunning = reject;
      this.#silence.restart();
      (values ? query.values() : query).then(
        (rows) => {
          if (!Array.isArray(rows)) return this.#refuseCopy();
          if (!isWhole(rows as Rows)) return this.destroy(miscounted());
          this.#rejectRunning = undefined;
          freeParameters(query);
          resolve(rows as Rows);
        },
        (error: Error) => {
          // Any failure except the server's answer to this statement ends the connection.
          if (!isAnswer(error) || this.#hasBecomeStandby(error)) {
            return this.destroy(asDataError(error) ?? error);
          }
          this.#rejectRunning = undefined;
          reject(error);
        },
      );
    });
  }

  /**
   * Runs a write like `query`, and stores a WAL position after its commit for its rows. The statement for the position
   * is sent with the write, so it needs no further round trip. The server begins it after the commit. No position is
   * stored at the first use of a text, or if that statement fails, which never changes the answer of the write.
   */
  async write(text: string, params: unknown[], options: QueryOptions = {}): Promise<Rows> {
    const isSentAtOnce = params.length === 0 || this.#prepared.has(text);
    const answered = this.query(text, params, options);
    if (!isSentAtOnce) {
      const rows = await answered;
      if (options.prepare) this.#prepared.add(text);
      return rows;
    }
    const position = this.#readPosition();
    try {
      const rows = await answered;
      // A server that is silent now would also be silent to a further statement, which would cost another timeout.
      notePosition(rows, (await position) ?? (this.isSilent ? BEYOND_ALL : undefined));
      return rows;
    } finally {
      await position; // the next statement must not be sent before
    }
  }

  /** Reads the position after the running write. Never rejects. */
  #readPosition(): Promise<ServerPosition | undefined> {
    const write = this.#rejectRunning;
    return new Promise((resolve) => {
      const settle = (position?: ServerPosition) => {
        this.#leavePosition = undefined;
        resolve(position);
      };
      if (this.lost) return settle();
      this.#leavePosition = settle;
      prepared(this.#client, END_OF_WAL).then(
        // The driver repeats a write whose prepared statement has become invalid; the position is then before it.
        ([row]) => settle(this.#rejectRunning === write ? undefined : (row as ServerPosition)),
        (error: Error) => (isAnswer(error) ? settle() : this.destroy(connectionLost(error))),
      );
    });
  }

  /**
   * Runs a statement that may change statement_timeout. Afterwards the deadline follows the value that the server
   * reports. During the statement no deadline applies, only the limit of the transaction.
   */
  async followTimeout<T>(run: () => Promise<T>): Promise<T> {
    const { deadlineMs, statementTimeoutMs } = this.#settings;
    if (deadlineMs === 0) return await run();
    const before = this.#silence.limitMs;
    this.#silence.set(0);
    try {
      const result = await run();
      const [row] = await this.query(TIMEOUT_QUERY, []);
      const timeoutMs = Number(row!.ms);
      this.#hasOwnTimeout = true;
      this.#silence.set(timeoutMs > 0 ? timeoutMs + deadlineMs - statementTimeoutMs : 0);
      return result;
    } catch (error) {
      this.#silence.set(before);
      throw error;
    }
  }

  /**
   * Resets what a user has left in the session: its own statement_timeout, and the driver's row counter after an
   * error. It resets the counter by a command without rows. Never rejects: a session that cannot be reset is closed.
   */
  async settle(): Promise<void> {
    this.#hasOwnTimeout = false;
    this.#silence.set(this.#settings.deadlineMs);
    await this.query('reset statement_timeout', []).catch((error: Error) => this.destroy(error));
  }

  /**
   * Yields the output of a `copy … to stdout`, and reads no more from the server than the caller takes. Throws the
   * errors of `query`. Abandons a server that is silent for the deadline, unless another connection finds within a
   * second that the server is working. If a COPY is not read to its end, the session ends, because the driver cannot
   * cancel a COPY.
   */
  async *copyOut(text: string): AsyncGenerator<Buffer> {
    if (this.lost) throw this.lost;
    let whole = false;
    this.#isCopying = true;
    try {
      const stream = await this.#answered(expectStream(this.#client.unsafe(text)).readable());
      const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      for (;;) {
        const next: IteratorResult<Buffer, unknown> = await this.#answered(chunks.next());
        if (next.done) break;
        yield next.value;
      }
      readBehind(stream);
      whole = true;
    } finally {
      this.#isCopying = false;
      if (!whole) this.destroy(connectionLost());
    }
  }

  /** Resolves with the next data of the server, or rejects with the reason why no data will arrive. */
  #answered<T>(coming: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#rejectRunning = reject;
      this.#silence.restart();
      coming.then(resolve, reject);
    }).finally(() => (this.#rejectRunning = undefined));
  }

  /** Closes the connection at once; the running statement is rejected with `reason`. */
  destroy(reason: Error): void {
    this.#end(reason);
    this.#socket?.destroy();
  }

  /** Sends Terminate to the server and resolves when the connection is closed, within a second. */
  async close(): Promise<void> {
    this.#end(connectionLost());
    await this.#client.end({ timeout: 1 });
    this.#socket?.destroy();
  }

  async #giveUp(): Promise<void> {
    const running = this.#rejectRunning ?? this.#leavePosition;
    if (!running) return;
    if (this.#isCopying && (await this.#isWorking())) return void this.#silence.restart();
    if (running !== (this.#rejectRunning ?? this.#leavePosition)) return; // the server has answered in the meantime
    this.isSilent = true;
    this.destroy(noAnswer(this.#silence.limitMs));
  }

  /** Asks on another connection. A server that refuses it because it has none left is also alive. */
  async #isWorking(): Promise<boolean> {
    const asking = new Session({ ...this.#settings, listen: undefined }, this.target);
    try {
      await asking.connect(LIVENESS_MS);
      const [row] = await asking.query(isActive(this.#backend), []);
      return !this.#settings.prepare || row !== undefined;
    } catch (error) {
      return errorCodeOf(error) === TOO_MANY_CONNECTIONS;
    } finally {
      if (!asking.lost) void asking.close();
    }
  }

  /** Another primary may have the same address by now; a new connection finds it. */
  #hasBecomeStandby(error: Error): boolean {
    return !this.#settings.acceptStandby && errorCodeOf(error) === READ_ONLY_TRANSACTION;
  }

  #end(reason: Error): void {
    if (this.lost) return;
    this.lost = reason;
    this.#silence.end();
    this.#rejectRunning?.(reason);
    this.#rejectRunning = undefined;
    this.#leavePosition?.();
    this.onInterrupt?.(reason);
    this.onLost?.();
  }

  /** The server waits for data, or for a reader. A session in that state would fail for its next user. */
  #refuseCopy(): void {
    this.destroy(new TypeError('COPY needs its own connection.'));
  }

  /** A server that closes the connection before its first answer is probably not PostgreSQL. */
  #closedByServer(): DataError {
    return connectionLost(this.#backend ? undefined : notPostgresql());
  }

  /** Gives the socket to the driver once, so that the driver cannot reconnect. */
  async #openSocket(): Promise<net.Socket> {
    try {
      if (this.#socket) throw this.#closedByServer();
      const socket = await openSocket(
        this.target,
        this.refused,
        (opened) => (this.#socket = opened),
      );
      return socket.on('data', (bytes: Buffer) => this.#state.read(bytes));
    } catch (error) {
      this.#end(asDataError(error) ?? connectionLost(error)); // the driver does not always report the end
      throw error;
    }
  }
}
