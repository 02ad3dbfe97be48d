import { DataError } from './errors.js';
import { Session, type SessionSettings } from './session.js';

export interface PoolSettings extends SessionSettings {
  max: number;
  idleTimeoutMs: number;
  /** The longest wait for a session; 0 waits for ever. */
  acquireTimeoutMs: number;
  /** How many may wait at once. */
  maxWaiting: number;
}

/** A reading of the pool, all but `timeouts` at this moment. */
export interface PoolStats {
  open: number;
  idle: number;
  opening: number;
  waiting: number;
  /** How many waits have ended in `pool_exhausted` since the pool was made. */
  timeouts: number;
}

interface Waiter {
  resolve(session: Session): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout | undefined;
}

/** A server behind a pooler or a failover is not kept for ever. */
const MAX_LIFETIME_MS = 30 * 60_000;

/**
 * Up to `max` sessions, each lent to one borrower at a time: a statement, or a whole transaction.
 *
 * Guarantees: a borrower never queues behind a busy session while another is free; a wait ends
 * within the acquire timeout; a session whose connection has ended is never lent; a failed connect
 * is told at once to those who wait when no other session could serve them, and is tried again by
 * the next to come, with no back-off that could outlast the outage; work per loan does not depend
 * on how many there were.
 */
export class Pool {
  readonly #settings: PoolSettings;
  readonly #sessions = new Map<Session, { openedAt: number }>();
  /** A stack: the busiest stay warm, the others reach the idle timeout at the bottom. */
  readonly #idle: Session[] = [];
  readonly #waiting: Waiter[] = [];
  readonly #opening = new Set<Promise<void>>();
  readonly #retiring = new Set<Promise<void>>();
  #timeouts = 0;
  #reaper: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  constructor(settings: PoolSettings) {
    this.#settings = settings;
  }

  get stats(): PoolStats {
    return {
      open: this.#sessions.size,
      idle: this.#idle.length,
      opening: this.#opening.size,
      waiting: this.#waiting.length,
      timeouts: this.#timeouts,
    };
  }

  /** An idle session at once, for the way that most statements take. */
  takeIdle(): Session | undefined {
    return this.#idle.pop();
  }

  /** Rejects with `pool_exhausted` after the acquire timeout, or with the reason no session can be opened. */
  acquire(): Promise<Session> {
    if (this.#closed) return Promise.reject(closedError());
    const session = this.takeIdle();
    if (session) return Promise.resolve(session);
    if (this.#waiting.length >= this.#settings.maxWaiting) return Promise.reject(this.#exhausted());
    return new Promise((resolve, reject) => {
      const { acquireTimeoutMs } = this.#settings;
      // All wait equally long, so the first to time out is the first in the queue.
      const timer =
        acquireTimeoutMs > 0
          ? setTimeout(() => this.#waiting.shift()?.reject(this.#exhausted()), acquireTimeoutMs)
          : undefined;
      this.#waiting.push({ resolve, reject, timer });
      this.#openIfWanted();
    });
  }

  /** Gives a session back: to the next who waits, or to the idle ones. */
  release(session: Session): void {
    if (session.lost) return;
    if (this.#closed) return this.#retire(session);
    const waiter = this.#waiting.shift();
    if (waiter) {
      clearTimeout(waiter.timer);
      return waiter.resolve(session);
    }
    session.idleSince = performance.now();
    this.#idle.push(session);
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
    this.#rejectWaiting(closedError());
    for (const session of [...this.#idle]) this.#retire(session);
    const deadline = performance.now() + timeoutMs;
    while (this.#sessions.size > 0 && performance.now() < deadline) await sleep(10);
    for (const session of [...this.#sessions.keys()]) session.destroy(closedError());
    await Promise.all(this.#opening);
    await Promise.all(this.#retiring);
  }

  #retire(session: Session): void {
    const retiring: Promise<void> = session.close().finally(() => this.#retiring.delete(retiring));
    this.#retiring.add(retiring);
  }

  #openIfWanted(): void {
    const wanted = Math.min(
      this.#waiting.length - this.#opening.size,
      this.#settings.max - this.#sessions.size - this.#opening.size,
    );
    for (let i = 0; i < wanted; i++) {
      const opening: Promise<void> = this.#open().finally(() => this.#opening.delete(opening));
      this.#opening.add(opening);
    }
  }

  async #open(): Promise<void> {
    try {
      const session = await Session.open(this.#settings);
      this.#sessions.set(session, { openedAt: performance.now() });
      session.onLost = () => this.#forget(session);
      this.#reaper ??= setInterval(() => this.#reap(), 1000).unref();
      this.release(session);
    } catch (error) {
      if (this.#sessions.size === 0) this.#rejectWaiting(error as Error);
    }
  }

  #forget(session: Session): void {
    this.#sessions.delete(session);
    const index = this.#idle.indexOf(session);
    if (index >= 0) this.#idle.splice(index, 1);
    if (!this.#closed) this.#openIfWanted();
  }

  /** Ends what has been idle or open for too long; a busy session is looked at when it is idle. */
  #reap(): void {
    const now = performance.now();
    const { idleTimeoutMs } = this.#settings;
    for (const session of [...this.#idle]) {
      const idleTooLong = idleTimeoutMs > 0 && now - session.idleSince > idleTimeoutMs;
      const tooOld = now - this.#sessions.get(session)!.openedAt > MAX_LIFETIME_MS;
      if (idleTooLong || tooOld) this.#retire(session);
    }
    if (this.#sessions.size === 0) {
      clearInterval(this.#reaper);
      this.#reaper = undefined;
    }
  }

  #rejectWaiting(error: Error): void {
    for (const waiter of this.#waiting.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.reject(error);
    }
  }

  #exhausted(): DataError {
    this.#timeouts++;
    return new DataError('pool_exhausted', 'All database connections are busy.');
  }
}

function closedError(): DataError {
  return new DataError('database_unavailable', 'The connection pool is closed.');
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
