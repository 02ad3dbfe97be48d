import net from 'node:net';
import { DataError, errorCodeOf } from '../errors.js';
import { observeAcquire } from '../observed.js';
import { Session, TOO_MANY_CONNECTIONS } from './session.js';
import { closedError, stillOpen } from './session-errors.js';
import type { SessionSettings } from './session-settings.js';
import { isListening, type Target } from './socket.js';
import { WaitingBorrowers } from './waiting-borrowers.js';

export interface PoolSettings extends SessionSettings {
  max: number;
  connectTimeoutMs: number;
  idleTimeoutMs: number;
  /** The maximum wait for a session; 0 means no limit. */
  acquireTimeoutMs: number;
  /** The maximum number of waiting callers. */
  maxWaiting: number;
}

/** The current statistics of the pool; `timeouts` counts from its creation. */
export interface PoolStats {
  open: number;
  idle: number;
  opening: number;
  waiting: number;
  /** The number of waits that failed since the pool was created: too long, or too many at once. */
  timeouts: number;
}

/** A server that has been replaced, behind a balancer or by a failover, is not kept for ever. */
const MAX_LIFETIME_MS = 30 * 60_000;
/** After a server has refused a session, borrowers wait this long before they try again, if open sessions can serve them. */
const REFUSED_PAUSE_MS = 250;

/**
 * Up to `max` sessions, each lent to one borrower at a time: a statement, or a whole transaction.
 *
 * Guarantees:
 * - A borrower never queues behind a busy session while another is free, and its wait ends within the
 *   acquire timeout.
 * - A session is lent only when it is connected and the server has said that it is in no transaction.
 * - A standby is refused, and the next server of the URL is tried.
 * - A failed connect is told at once to those who wait when no open session could serve them. The next
 *   borrower tries again: no back-off outlasts the outage.
 * - A server that has become silent costs one deadline, not one for each session.
 * - The work for a loan does not depend on how many there were.
 */
export class Pool {
  readonly #settings: PoolSettings;
  readonly #sessions = new Set<Session>();
  /** A stack: the busiest stay warm, the others reach the idle timeout at the bottom. */
  readonly #idle: Session[] = [];
  readonly #waiting: WaitingBorrowers;
  readonly #opening = new Set<Session>();
  readonly #retiring = new Set<Promise<void>>();
  /** The index of the target that answered last. */
  #preferred = 0;
  /** The target of the session that was opened last. */
  #used: Target | undefined;
  #pausedUntil = 0;
  /** Runs after a failed connect while any wait. */
  #retry: NodeJS.Timeout | undefined;
  #timeouts = 0;
  #reaper: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  constructor(settings: PoolSettings) {
    this.#settings = settings;
    this.#waiting = new WaitingBorrowers(settings.acquireTimeoutMs, () => this.#givenUp());
  }

  get stats(): PoolStats {
    return {
      open: this.#sessions.size,
      idle: this.#idle.length,
      opening: this.#opening.size,
      waiting: this.#waiting.count,
      timeouts: this.#timeouts,
    };
  }

  /** Returns an idle session without waiting, for the common case. */
  takeIdle(): Session | undefined {
    return this.#idle.pop();
  }

  /** Rejects with `pool_exhausted` after the acquire timeout, or with the reason no session can be opened. */
  acquire(): Promise<Session> {
    if (this.#closed) return Promise.reject(closedError());
    const session = this.takeIdle();
    if (session) return Promise.resolve(session);
    if (this.#waiting.count >= this.#settings.maxWaiting) return Promise.reject(this.#givenUp());
    const waiting = this.#waiting.add();
    this.#openIfWanted();
    return observeAcquire(waiting);
  }

  /**
   * Takes a session back and lends it to the next borrower. One whose transaction is still open is
   * ended, and one whose next answer could be wrong is settled before.
   */
  release(session: Session): void {
    if (session.lost) return;
    if (session.inTransaction) return session.destroy(stillOpen());
    if (session.isUnsettled) return void session.settle().then(() => this.release(session));
    const now = performance.now();
    if (this.#closed || now - session.openedAt > MAX_LIFETIME_MS) return this.#retire(session);
    if (this.#waiting.serve(session)) return;
    session.idleSince = now;
    this.#idle.push(session);
  }

  /** True if the server that was used last, or the pooler in front of it, accepts connections. */
  async isListening(timeoutMs: number): Promise<boolean> {
    return this.#used !== undefined && (await isListening(this.#used, timeoutMs));
  }

  /**
   * Refuses new borrowers and those who wait, lets the others finish for up to `timeoutMs`, and
   * resolves when the server has been told goodbye on every connection.
   */
  close(timeoutMs: number): Promise<void> {
    this.#closed ??= this.#close(timeoutMs);
    return this.#closed;
  }

  async #close(timeoutMs: number): Promise<void> {
    await Promise.resolve(); // from here on `#closed` is set, and release() retires
    clearInterval(this.#reaper);
    clearTimeout(this.#retry);
    this.#waiting.reject(closedError());
    for (const session of this.#opening) session.destroy(closedError());
    for (const session of [...this.#idle]) this.#retire(session);
    const deadline = performance.now() + timeoutMs;
    while (this.#sessions.size > 0 && performance.now() < deadline) await sleep(10);
    for (const session of [...this.#sessions]) session.destroy(closedError());
    await Promise.all(this.#retiring);
  }

  #retire(session: Session): void {
    const retiring: Promise<void> = session.close().finally(() => this.#retiring.delete(retiring));
    this.#retiring.add(retiring);
  }

  #openIfWanted(): void {
    if (this.#waiting.count === 0) return;
    const pauseMs = this.#pausedUntil - performance.now();
    if (this.#sessions.size > 0 && pauseMs > 0) return this.#openIn(pauseMs);
    const wanted = Math.min(
      this.#waiting.count - this.#opening.size,
      this.#settings.max - this.#sessions.size - this.#opening.size,
    );
    for (let i = 0; i < wanted; i++) void this.#open();
  }

  /** Tries again after a pause: no later caller may come that would cause another attempt. */
  #openIn(pauseMs: number): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#openIfWanted(), pauseMs);
  }

  async #open(): Promise<void> {
    const { targets } = this.#settings.url;
    const first = this.#preferred;
    let failure = closedError();
    for (let tried = 0; tried < targets.length && !this.#closed; tried++) {
      const index = (first + tried) % targets.length;
      const opened = await this.#openTo(targets[index]!);
      if (!(opened instanceof Session)) {
        failure = opened;
        continue;
      }
      this.#preferred = index;
      return this.#admit(opened);
    }
    this.#failedToOpen(failure);
  }

  /** Tries every address of the host while standbys answer. */
  async #openTo(target: Target): Promise<Session | DataError> {
    const deadlineMs = this.#settings.connectTimeoutMs / this.#settings.url.targets.length;
    const standbys = new Set<string>();
    let failure: DataError | undefined;
    for (;;) {
      const session = new Session(this.#settings, target, standbys);
      this.#opening.add(session);
      try {
        await session.connect(deadlineMs);
        return session; // still counted as opening, until it is admitted
      } catch (error) {
        this.#opening.delete(session);
        failure ??= error as DataError;
        const { standbyAt } = session;
        if (!standbyAt || standbys.has(standbyAt) || net.isIP(target.host)) return failure;
        standbys.add(standbyAt);
      }
    }
  }

  #admit(session: Session): void {
    this.#opening.delete(session);
    this.#used = session.target;
    if (this.#closed) return this.#retire(session);
    this.#sessions.add(session);
    session.onLost = () => this.#forget(session);
    this.#reaper ??= setInterval(() => this.#reap(), 1000).unref();
    this.release(session);
  }

  #failedToOpen(error: DataError): void {
    this.#pausedUntil = performance.now() + REFUSED_PAUSE_MS;
    const full = errorCodeOf(error) === TOO_MANY_CONNECTIONS;
    if (this.#sessions.size > 0) return this.#openIfWanted();
    if (full && this.#opening.size > 0) return;
    // Each attempt that is still under way may serve one; it tells that one if it fails too.
    this.#waiting.reject(error, Math.max(1, this.#waiting.count - this.#opening.size));
  }

  #forget(session: Session): void {
    this.#sessions.delete(session);
    if (session.isSilent) this.#leave(session.target);
    const index = this.#idle.indexOf(session);
    if (index >= 0) this.#idle.splice(index, 1);
    if (!this.#closed) this.#openIfWanted();
  }

  /** The idle sessions of a server that is silent lead to the same machine, and each would cost a deadline. */
  #leave(target: Target): void {
    const { targets } = this.#settings.url;
    if (targets[this.#preferred] === target) {
      this.#preferred = (this.#preferred + 1) % targets.length;
    }
    for (const session of this.#idle.filter((idle) => idle.target === target)) {
      session.destroy(new DataError('database_unavailable', 'The server has stopped answering.'));
    }
  }

  /** Ends what has been idle or open for too long; a busy session's age is seen when it is released. */
  #reap(): void {
    const now = performance.now();
    const { idleTimeoutMs } = this.#settings;
    for (const session of [...this.#idle]) {
      const idleTooLong = idleTimeoutMs > 0 && now - session.idleSince > idleTimeoutMs;
      const tooOld = now - session.openedAt > MAX_LIFETIME_MS;
      if (idleTooLong || tooOld) this.#retire(session);
    }
    if (this.#sessions.size === 0) {
      clearInterval(this.#reaper);
      this.#reaper = undefined;
    }
  }

  #givenUp(): DataError {
    this.#timeouts++;
    return this.#sessions.size > 0
      ? new DataError('pool_exhausted', 'All database connections are busy.')
      : new DataError('database_unavailable', 'The database did not answer in time.');
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
