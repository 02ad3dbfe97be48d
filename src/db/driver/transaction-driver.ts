import type { Sql } from 'postgres';
import { DataError, errorCodeOf } from '../errors.js';
import {
  asDrizzleClient,
  type DrizzleClient,
  type DrizzleOptions,
} from '../query/drizzle-internals.js';
import { carryPosition } from '../query/noted-positions.js';
import { PendingQuery, type Run } from './pending-query.js';
import type { Rows } from './postgres-js.js';
import type { Session } from './session.js';
import { controlsTransaction } from './transaction-control.js';

const IN_FAILED_TRANSACTION = '25P02';

export type Execute = (session: Session, ...statement: Parameters<Run>) => Promise<Rows>;

/** Implements the part of a postgres.js transaction that drizzle needs, on one session. */
export class TransactionDriver implements DrizzleClient {
  #tail: Promise<unknown> = Promise.resolve();
  #savepoints = 0;
  #failure: Error | undefined;
  #ended = false;

  constructor(
    private readonly session: Session,
    private readonly execute: Execute,
    readonly options: DrizzleOptions,
  ) {}

  unsafe(text: string, params: unknown[] = []): PendingQuery {
    return new PendingQuery(this.#run, text, params);
  }

  /** With `notesPosition` the result has a WAL position behind the commit (`notedPosition`), if it is an object. */
  async run<T>(
    work: (transaction: Sql) => Promise<T>,
    { begin, notesPosition }: { begin: string; notesPosition: boolean },
  ): Promise<T> {
    await this.#control(begin);
    try {
      const result = await this.#orLost(work(asDrizzleClient(this)));
      const committed = await this.#last('commit', notesPosition);
      // The server turns the COMMIT of a failed transaction into a ROLLBACK, without an error.
      if (committed.command !== 'COMMIT') throw this.#failure ?? rolledBack();
      carryPosition(committed, result);
      return result;
    } catch (error) {
      if (!this.#ended) {
        await this.#last('rollback').catch((reason: Error) => this.session.destroy(reason));
      }
      throw this.session.lost ?? this.#rootOf(error);
    } finally {
      this.#ended = true;
    }
  }

  /** Runs a nested transaction, which rolls back when `work` rejects. Two concurrent ones would undo each other. */
  async savepoint<T>(work: (transaction: Sql) => Promise<T>): Promise<T> {
    const name = `s${this.#savepoints++}`;
    await this.#control(`savepoint ${name}`);
    try {
      const result = await work(asDrizzleClient(this));
      await this.#control(`release savepoint ${name}`);
      return result;
    } catch (error) {
      const root = this.#rootOf(error);
      await this.#control(`rollback to savepoint ${name}; release savepoint ${name}`);
      throw root;
    }
  }

  #run: Run = (text, params, values) =>
    this.#inTurn(() => {
      // A COMMIT must be refused before it runs: afterwards the earlier statements cannot be rolled back.
      if (params.length === 0 && controlsTransaction(text)) this.session.destroy(notByStatement());
      const execute = () => this.execute(this.session, text, params, values);
      return text.includes('statement_timeout') ? this.session.followTimeout(execute) : execute();
    });

  #control(text: string): Promise<Rows> {
    return this.#inTurn(() => this.session.query(text, []));
  }

  /** Sends one statement after the other: the driver would reconnect for statements in its own queue. */
  #inTurn(send: () => Promise<Rows>): Promise<Rows> {
    const rows = this.#tail.then(async () => {
      if (this.#ended) throw this.session.lost ?? ended();
      try {
        return await send();
      } finally {
        this.#requireOpen();
      }
    });
    this.#tail = rows.then(
      () => (this.#failure = undefined), // a rollback to a savepoint has repaired the failed transaction
      (error: Error) => (this.#failure ??= error),
    );
    return rows;
  }

  /** Fails if the transaction has ended: later statements would be committed on their own. */
  #requireOpen(): void {
    if (!this.session.inTransaction) this.session.destroy(notByStatement());
    if (this.session.lost) throw this.session.lost;
  }

  /** Sends COMMIT or ROLLBACK after the pending statements, and refuses all later ones. */
  #last(text: string, notesPosition = false): Promise<Rows> {
    const rows = this.#tail.then(() => {
      this.#ended = true;
      return notesPosition ? this.session.write(text, []) : this.session.query(text, []);
    });
    this.#tail = rows.catch(() => undefined);
    return rows;
  }

  /** Returns the first failure: the error that follows from a swallowed one does not help a caller. */
  #rootOf(error: unknown): Error {
    return errorCodeOf(error) === IN_FAILED_TRANSACTION && this.#failure
      ? this.#failure
      : (error as Error);
  }

  /** Rejects when the connection is lost, even while the work waits for something else. */
  #orLost<T>(work: Promise<T>): Promise<T> {
    const lost = new Promise<never>((_, reject) => (this.session.onInterrupt = reject));
    return Promise.race([work, lost]).finally(() => (this.session.onInterrupt = undefined));
  }
}

export function ended(): DataError {
  return new DataError('conflict', 'The transaction has ended.');
}

function notByStatement(): TypeError {
  return new TypeError('Use db.transaction() to begin and end a transaction.');
}

function rolledBack(): DataError {
  return new DataError('conflict', 'The transaction was rolled back.');
}
