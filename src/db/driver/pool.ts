import net from 'node:net';
import { DataError, errorCodeOf } from '../errors.js';
import { observeAcquire } from '../observed.js';
import { Session, TOO_MANY_CONNECTIONS } from './session.js';
import { closedError, isOtherServer, stillOpen } from './session-errors.js';
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
  /** The number of failed waits since the pool was created. They took too long, or too many callers waited. */
  timeouts: number;
}

/**
 * A session is closed at this age, so that a server that was replaced by a failover or a balancer is not used
 * forever.
 */
const MAX_LIFETIME_MS = 30 * 60_000;
/**
 * After a server has refused a session, callers wait this long before the next attempt, if open sessions can serve
 * them.
 */
const REFUSED_PAUSE_MS = 250;

/**
 * Up to `max` sessions. Each is lent to one borrower at a time: a statement, or a whole transaction.
 *
 * Guarantees:
 * - A borrower never waits for a busy session while another one is free, and it waits at most for the acquire timeout.
 * - A session is lent only if it is connected and the server has reported that it is in no transaction.
 * - A standby is refused, and the next server of the URL is tried.
 * - If the pool has a known server, no session that leads to another one is lent.
 * - If a connection attempt fails and no open session can serve the waiting borrowers, they get the error at once. The
 *   next borrower causes a new attempt, so no pause continues after the outage.
 * - A server that has stopped answering costs one deadline, not one for each session.
 * - The cost of lending a session does not depend on the number of earlier loans.
 */
export class Pool {
  readonly #settings: PoolSettings;
  readonly #sessions = new Set<Session>();
  /** A stack: the last used session is used first, so that the others reach the idle timeout. */
  readonly #idle: Session[] = [];
  readonly #waiting: WaitingBorrowers;
  readonly #opening = new Set<Session>();
  readonly #retiring = new Set<Promise<void>>();
  /** The index of the target that last accepted a session. */
  #preferred = 0;
  /** The target of the session that was opened last. */
  #used: Target | undefined;
  #pausedUntil = 0;
  /** Runs after a failed attempt while callers wait. */
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

  /** Returns an idle session without waiting, which is the common case. */
  takeIdle(): Session | undefined {
    const session = this.#idle.pop();
    if (!session?.leadsElsewhere) return session;
    session.destroy(isOtherServer());
    return this.takeIdle();
  }

  /** Rejects with `pool_exhausted` after the acquire timeout, or with the reason why no session can be opened. */
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
   * Takes a session back and gives it to the next caller. A session with an open transaction is closed. A session
   * whose next answer could be wrong is reset first.
   */
  release(session: Session): void {
    if (session.lost) return;
    if (session.inTransaction) return session.destroy(stillOpen());
    if (session.leadsElsewhere) return session.destroy(isOtherServer());
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
   * Refuses new and waiting callers, lets the others finish for up to `timeoutMs`, and resolves when every connection
   * is closed.
   */
  close(timeoutMs: number): Promise<void> {
    this.#closed ??= this.#close(timeoutMs);
    return this.#closed;
  }

  async #close(timeoutMs: number): Promise<void> {
    await Promise.resolve(); // from this point `#closed` is set, and release() closes sessions
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

  /** Tries again after a pause, because there may be no later caller that would cause another attempt. */
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

  /** Tries every address of the host while the servers are standbys. */
  async #openTo(target: Target): Promise<Session | DataError> {
    const deadlineMs = this.#settings.connectTimeoutMs / this.#settings.url.targets.length;
    const standbys = new Set<string>();
    let failure: DataError | undefined;
    for (;;) {
      const session = new Session(this.#settings, target, standbys);
      this.#opening.add(session);
      try {
        await session.connect(deadlineMs);
        return session; // the session counts as opening until it is accepted
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
    // Each running attempt may serve one caller, and reports its own failure to that caller.
    this.#waiting.reject(error, Math.max(1, this.#waiting.count - this.#opening.size));
  }

  #forget(session: Session): void {
    this.#sessions.delete(session);
    if (session.isSilent) this.#leave(session.target);
    const index = this.#idle.indexOf(session);
    if (index >= 0) this.#idle.splice(index, 1);
    if (!this.#closed) this.#openIfWanted();
  }

  /** The idle sessions of a silent server lead to the same machine, and each of them would cost a deadline. */
  #leave(target: Target): void {
    const { targets } = this.#settings.url;
    if (targets[this.#preferred] === target) {
      this.#preferred = (this.#preferred + 1) % targets.length;
    }
    for (const session of this.#idle.filter((idle) => idle.target === target)) {
      session.destroy(new DataError('database_unavailable', 'The server has stopped answering.'));
    }
  }

  /**
   * Closes sessions that were idle or open for too long. The age of a busy session is checked when it is released.
   */
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
