import { sql } from 'drizzle-orm';
import type { Sql } from 'postgres';
import { DataError } from '../errors.js';
import { type DrizzleOptions, PendingQuery, type Run } from './pending-query.js';
import { observeStatement } from '../observed.js';
import type { Pool } from './pool.js';
import type { Rows } from './postgres-js.js';
import type { Session } from './session.js';
import { timerMs } from './timer.js';
import { ended, type Execute, TransactionDriver } from './transaction-driver.js';

/** In milliseconds; 0 is no limit. */
export interface TransactionLimits {
  /** Longest life of a transaction. */
  transactionTimeoutMs: number;
  /** Longest time that the server lets it wait for its next statement; default the session's own. */
  idleInTransactionTimeoutMs?: number;
}

export interface DriverSettings extends TransactionLimits {
  prepare: boolean;
}

/** What each session may prepare on the server; the rest is sent unprepared. Each costs memory there. */
const MAX_PREPARED_STATEMENTS = 500;
const MAX_PREPARED_LENGTH = 10_000;

const PLANNED_EACH_TIME = '/* planned for its values */';

/**
 * In the text of a statement: have the server plan it each time, for the values it comes with. A
 * prepared statement may be planned once for all, which is wrong where the best way depends on them.
 */
export const PLANNED_FOR_ITS_VALUES = sql.raw(PLANNED_EACH_TIME);

/**
 * Begins the transaction in which the rows of a query are sent by COPY, for as long as its reader takes.
 * What the query waits for before, such as a lock, it waits for no longer than any statement: EXPLAIN
 * takes the locks. Where the server can look for it (not on Windows), it ends when its reader has gone.
 */
export const beginCopy = (query: string) => `
  begin read only;
  explain ${query};
  set local statement_timeout = 0;
  do $$ begin
    perform set_config('client_connection_check_interval', '1s', true);
  exception when others then null; end $$`;

/** The COPY itself, in the binary format. */
export const copyText = (query: string) => `copy (${query}) to stdout (format binary)`;

/**
 * What drizzle needs of a postgres.js client (drizzle-orm 0.45.4, postgres-js/session.js):
 * `options`, `unsafe(text, params).values()`, `begin` and `savepoint`. Statements run on sessions
 * of the pool, prepared on the server so that each takes one round trip.
 */
export class PooledDriver {
  readonly #pool: Pool;
  readonly #settings: DriverSettings;
  #prepared = new Set<string>();

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
   * What a COPY of the query sends, on a session and in a transaction of its own. Whoever reads it
   * sets the pace and the limit; only a server that is silent and not at work is given up.
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

  /** The same on the same pool, its transactions under other limits. */
  withLimits(limits: TransactionLimits): PooledDriver {
    const other = new PooledDriver(this.#pool, { ...this.#settings, ...limits }, this.options);
    other.#prepared = this.#prepared;
    return other;
  }

  /**
   * Runs `work` in one transaction on one session, committed when it resolves and rolled back when
   * it rejects. Guarantees: no statement of it runs outside the transaction; when the connection is
   * lost, when the time limit passes, or when a failed statement was swallowed, it rejects and
   * nothing of it stands - save for a connection lost during the COMMIT itself, whose outcome no
   * client can know.
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
      return await transaction.run(
        work,
        idleMs === undefined ? 'begin' : `begin; ${limitIdling(idleMs)}`,
      );
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
      const rows = await observeStatement(text, session.backend, () =>
        session.query(text, params, { values, prepare }),
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

  /** A statement without parameters is one round trip unprepared. */
  #isPrepared(text: string, params: unknown[]): boolean {
    if (!this.#settings.prepare || params.length === 0) return false;
    if (this.#prepared.has(text)) return true;
    if (this.#prepared.size === MAX_PREPARED_STATEMENTS || text.length > MAX_PREPARED_LENGTH) {
      return false;
    }
    if (text.includes(PLANNED_EACH_TIME)) return false;
    this.#prepared.add(text);
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
