import type { Sql } from 'postgres';
import { DataError } from './errors.js';
import type { Pool } from './pool.js';
import type { Rows, Session } from './session.js';

/** Longest life of a transaction in milliseconds; 0 is no limit. */
export interface DriverSettings {
  prepare: boolean;
  transactionTimeoutMs: number;
}

/** How many distinct statements are prepared on the server; the rest are sent unprepared. */
const MAX_PREPARED_STATEMENTS = 500;

type Run = (text: string, params: unknown[], values: boolean) => Promise<Rows>;

/**
 * What drizzle needs of a postgres.js client (drizzle-orm 0.45.4, postgres-js/session.js):
 * `options`, `unsafe(text, params).values()`, `begin` and `savepoint`. Statements run on sessions
 * of the pool, prepared on the server so that each takes one round trip.
 */
export class PooledDriver {
  readonly #pool: Pool;
  readonly #settings: DriverSettings;
  readonly #prepared = new Set<string>();

  constructor(
    pool: Pool,
    settings: DriverSettings,
    readonly options: { parsers: object; serializers: object },
  ) {
    this.#pool = pool;
    this.#settings = settings;
  }

  unsafe(text: string, params: unknown[] = []): PendingQuery {
    return new PendingQuery(this.#run, text, params);
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
    const { transactionTimeoutMs } = this.#settings;
    const timer =
      transactionTimeoutMs > 0
        ? setTimeout(() => session.destroy(tooLong(transactionTimeoutMs)), transactionTimeoutMs)
        : undefined;
    const transaction = new TransactionDriver(session, this.#execute, this.options);
    try {
      return await transaction.run(work);
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

  #runOn(session: Session, text: string, params: unknown[], values: boolean): Promise<Rows> {
    return this.#execute(session, text, params, values).finally(() => this.#pool.release(session));
  }

  #execute = (session: Session, text: string, params: unknown[], values: boolean): Promise<Rows> =>
    session.query(text, params, { values, prepare: this.#isPrepared(text) });

  #isPrepared(text: string): boolean {
    if (!this.#settings.prepare) return false;
    if (this.#prepared.has(text)) return true;
    return this.#prepared.size < MAX_PREPARED_STATEMENTS && this.#prepared.add(text).has(text);
  }
}

/** The same on the one session of a transaction. */
class TransactionDriver {
  #tail: Promise<unknown> = Promise.resolve();
  #savepoints = 0;
  #failure: unknown;
  #ended = false;

  constructor(
    private readonly session: Session,
    private readonly execute: (session: Session, ...statement: Parameters<Run>) => Promise<Rows>,
    readonly options: { parsers: object; serializers: object },
  ) {}

  unsafe(text: string, params: unknown[] = []): PendingQuery {
    return new PendingQuery(this.#run, text, params);
  }

  async run<T>(work: (transaction: Sql) => Promise<T>): Promise<T> {
    await this.#run('begin', [], false);
    try {
      const result = await this.#orLost(work(this as unknown as Sql));
      const { command } = await this.#last('commit');
      // The server turns the COMMIT of a failed transaction into a ROLLBACK, without an error.
      if (command !== 'COMMIT') throw this.#failure ?? rolledBack();
      return result;
    } catch (error) {
      if (!this.#ended)
        await this.#last('rollback').catch((reason: Error) => this.session.destroy(reason));
      throw this.session.lost ?? error;
    } finally {
      this.#ended = true;
    }
  }

  async savepoint<T>(work: (transaction: Sql) => Promise<T>): Promise<T> {
    const name = `s${this.#savepoints++}`;
    await this.#run(`savepoint ${name}`, [], false);
    try {
      const result = await work(this as unknown as Sql);
      await this.#run(`release savepoint ${name}`, [], false);
      return result;
    } catch (error) {
      await this.#run(`rollback to savepoint ${name}`, [], false);
      throw error;
    }
  }

  /** One statement after the other: the driver would reconnect for those it holds in its own queue. */
  #run: Run = (text, params, values) => {
    const rows = this.#tail.then(() => {
      if (this.#ended) throw new DataError('conflict', 'The transaction has ended.');
      return this.execute(this.session, text, params, values);
    });
    this.#tail = rows.catch((error: unknown) => (this.#failure ??= error));
    return rows;
  };

  /** COMMIT or ROLLBACK, after what was already sent; all that comes behind it is refused. */
  #last(text: string): Promise<Rows> {
    const rows = this.#tail.then(() => {
      this.#ended = true;
      return this.session.query(text, []);
    });
    this.#tail = rows.catch(() => undefined);
    return rows;
  }

  /** A lost connection ends the transaction even while its work waits for something else. */
  #orLost<T>(work: Promise<T>): Promise<T> {
    const lost = new Promise<never>((_, reject) => (this.session.onInterrupt = reject));
    return Promise.race([work, lost]).finally(() => (this.session.onInterrupt = undefined));
  }
}

/** Runs when it is awaited, like a postgres.js query. */
class PendingQuery implements PromiseLike<Rows> {
  constructor(
    private readonly run: Run,
    private readonly text: string,
    private readonly params: unknown[],
  ) {}

  values(): Promise<Rows> {
    return this.run(this.text, this.params, true);
  }

  then<A, B>(
    onResult?: ((rows: Rows) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ) {
    return this.run(this.text, this.params, false).then(onResult, onError);
  }
}

function tooLong(timeoutMs: number): DataError {
  return new DataError(
    'statement_timeout',
    `The transaction did not finish within ${timeoutMs} ms.`,
  );
}

function rolledBack(): DataError {
  return new DataError('conflict', 'The transaction was rolled back.');
}
