import { sql } from 'drizzle-orm';
import type { Sql } from 'postgres';
import { DataError } from '../errors.js';
import type { DrizzleClient, DrizzleOptions } from '../query/drizzle-internals.js';
import { PendingQuery, type Run } from './pending-query.js';
import { observeStatement } from '../observed.js';
import type { Pool } from './pool.js';
import type { Rows } from './postgres-js.js';
import type { Session } from './session.js';
import { timerMs } from './timer.js';
import { ended, type Execute, TransactionDriver } from './transaction-driver.js';

/** The limits of transactions, in milliseconds; 0 means no limit. */
export interface TransactionLimits {
  /** The maximum duration of a transaction. */
  transactionTimeoutMs: number;
  /** The maximum time between two statements, enforced by the server; default: that of the session. */
  idleInTransactionTimeoutMs?: number;
}

export interface DriverSettings extends TransactionLimits {
  prepare: boolean;
}

/** The limits of prepared statements per session, since each costs memory on the server. Others are sent unprepared. */
const MAX_PREPARED_STATEMENTS = 500;
const MAX_PREPARED_LENGTH = 10_000;

const PLANNED_EACH_TIME = '/* planned for its values */';

/**
 * A marker in the text of a statement: the server plans it each time for its values. The plan of a prepared
 * statement may be generic, which is wrong if the best plan depends on the values.
 */
export const PLANNED_FOR_ITS_VALUES = sql.raw(PLANNED_EACH_TIME);

/**
 * Begins the transaction of a COPY, which lasts as long as its reader needs. A wait for locks is still limited
 * like that of any statement, because EXPLAIN takes the locks first. Where the server supports it (not on
 * Windows), the COPY ends when its client has disconnected.
 */
export const beginCopy = (query: string) => `
  begin read only;
  explain ${query};
  set local statement_timeout = 0;
  do $$ begin
    perform set_config('client_connection_check_interval', '1s', true);
  exception when others then null; end $$`;

/** Returns the COPY statement, in the binary format. */
export const copyText = (query: string) => `copy (${query}) to stdout (format binary)`;

/**
 * Implements the part of a postgres.js client that drizzle needs. Statements run on sessions of the pool and
 * are prepared on the server, so that each takes one round trip.
 */
export class PooledDriver implements DrizzleClient {
  readonly #pool: Pool;
  readonly #settings: DriverSettings;
  /** Shared by all drivers of the pool. */
  #shared = { prepared: new Set<string>(), wantsPositions: false };
  #notesPositions = false;

  constructor(
    pool: Pool,
    settings: DriverSettings,
    readonly options: DrizzleOptions,
  ) {
    this.#pool = pool;
    this.#settings = settings;
  }

  unsafe(text: string, params: unknown[] = []): PendingQuery {
    return new PendingQuery(this.#run, text, params);
  }

  /**
   * Streams a COPY of the query, on a separate session and in a separate transaction. The reader sets the pace
   * and the time limit. The COPY fails only if the server is silent and not working.
   */
  async *copyOut(query: string): AsyncGenerator<Buffer> {
    const session = await this.#pool.acquire();
    let whole = false;
    try {
      await session.query(beginCopy(query), []);
      yield* session.copyOut(copyText(query));
      await session.query('commit', []);
      whole = true;
    } finally {
      if (!whole) session.destroy(ended()); // its transaction is open
      this.#pool.release(session);
    }
  }

  /** Returns a driver on the same pool with other limits for its transactions. */
  withLimits(limits: TransactionLimits): PooledDriver {
    const other = new PooledDriver(this.#pool, { ...this.#settings, ...limits }, this.options);
    other.#shared = this.#shared;
    other.#notesPositions = this.#notesPositions;
    return other;
  }

  /**
   * Returns a driver on the same pool that notes a WAL position behind each of its statements and transactions, for
   * writes (`notedPosition`). It does so only while positions are wanted.
   */
  notingPositions(): PooledDriver {
    const other = this.withLimits({ ...this.#settings });
    other.#notesPositions = true;
    return other;
  }

  /** Applies to all drivers of the pool. */
  wantPositions(areWanted: boolean): void {
    this.#shared.wantsPositions = areWanted;
  }

  /** An unprepared statement takes two round trips, so that another one cannot be sent with it. */
  get #isNoting(): boolean {
    return this.#notesPositions && this.#shared.wantsPositions && this.#settings.prepare;
  }

  /**
   * Runs `work` in one transaction on one session. It commits when `work` resolves and rolls back when `work`
   * rejects. Guarantees: no statement of `work` runs outside the transaction. If the connection is lost, the time
   * limit passes, or the error of a statement was swallowed, it rejects and everything is rolled back. The only
   * exception is a connection that is lost during the COMMIT itself, whose outcome no client can know.
   */
  async begin<T>(work: (transaction: Sql) => Promise<T>): Promise<T> {
    const session = await this.#pool.acquire();
    const { idleInTransactionTimeoutMs: idleMs } = this.#settings;
    const transactionTimeoutMs = timerMs(this.#settings.transactionTimeoutMs);
    const timer =
      transactionTimeoutMs > 0
        ? setTimeout(() => session.destroy(tooLong(transactionTimeoutMs)), transactionTimeoutMs)
        : undefined;
    const transaction = new TransactionDriver(session, this.#execute, this.options);
    try {
      return await transaction.run(work, {
        begin: idleMs === undefined ? 'begin' : `begin; ${limitIdling(idleMs)}`,
        notesPosition: this.#isNoting,
      });
    } finally {
      clearTimeout(timer);
      this.#pool.release(session);
    }
  }

  #run: Run = (text, params, values) => {
    const session = this.#pool.takeIdle();
    return session
      ? this.#runOn(session, text, params, values)
      : this.#pool.acquire().then((acquired) => this.#runOn(acquired, text, params, values));
  };

  async #runOn(session: Session, text: string, params: unknown[], values: boolean): Promise<Rows> {
    try {
      const prepare = this.#isPrepared(text, params);
      const options = { values, prepare };
      const rows = await observeStatement(text, session.backend, () =>
        this.#isNoting
          ? session.write(text, params, options)
          : session.query(text, params, options),
      );
      if (session.inTransaction) throw leftOpen();
      return rows;
    } finally {
      this.#pool.release(session);
    }
  }

  #execute: Execute = (session, text, params, values) =>
    observeStatement(text, session.backend, () =>
      session.query(text, params, { values, prepare: this.#isPrepared(text, params) }),
    );

  /** True if the statement is prepared. One without parameters takes one round trip unprepared. */
  #isPrepared(text: string, params: unknown[]): boolean {
    if (!this.#settings.prepare || params.length === 0) return false;
    const { prepared } = this.#shared;
    if (prepared.has(text)) return true;
    if (prepared.size === MAX_PREPARED_STATEMENTS || text.length > MAX_PREPARED_LENGTH) {
      return false;
    }
    if (text.includes(PLANNED_EACH_TIME)) return false;
    prepared.add(text);
    return true;
  }
}

function limitIdling(timeoutMs: number): string {
  return `set local idle_in_transaction_session_timeout = ${timerMs(timeoutMs)}`;
}

function leftOpen(): TypeError {
  return new TypeError(
    'The statement has left a transaction open, which was rolled back. Use db.transaction().',
  );
}

function tooLong(timeoutMs: number): DataError {
  return new DataError(
    'statement_timeout',
    `The transaction did not finish within ${timeoutMs} ms.`,
  );
}
