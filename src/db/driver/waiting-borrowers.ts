import type { Session } from './session.js';

interface Waiter {
  resolve(session: Session): void;
  reject(error: Error): void;
  /** On the clock of performance.now(). */
  since: number;
}

/**
 * The callers that wait for a session, in the order of their arrival. All have the same maximum wait, so the first in
 * the queue times out first, and one timer serves all.
 */
export class WaitingBorrowers {
  readonly #waiting: Waiter[] = [];
  /** Runs while callers wait. */
  #timer: NodeJS.Timeout | undefined;

  /** A caller that has waited for `limitMs` is rejected with the error of `onTimeout`; 0 means no limit. */
  constructor(
    private readonly limitMs: number,
    private readonly onTimeout: () => Error,
  ) {}

  get count(): number {
    return this.#waiting.length;
  }

  add(): Promise<Session> {
    return new Promise<Session>((resolve, reject) => {
      this.#waiting.push({ resolve, reject, since: performance.now() });
      if (this.#waiting.length === 1) this.#rejectLate();
    });
  }

  /** Gives the session to the first caller; returns false if none waits. */
  serve(session: Session): boolean {
    const first = this.#waiting.shift();
    if (!first) return false;
    if (this.#waiting.length === 0) clearTimeout(this.#timer);
    first.resolve(session);
    return true;
  }

  /** Rejects the first `count` callers, by default all. */
  reject(error: Error, count = this.#waiting.length): void {
    for (const waiter of this.#waiting.splice(0, count)) waiter.reject(error);
    if (this.#waiting.length === 0) clearTimeout(this.#timer);
  }

  #rejectLate(): void {
    if (this.limitMs === 0) return;
    clearTimeout(this.#timer);
    const now = performance.now();
    while (this.#waiting[0] && now - this.#waiting[0].since >= this.limitMs) {
      this.#waiting.shift()!.reject(this.onTimeout());
    }
    const [first] = this.#waiting;
    if (!first) return;
    const leftMs = Math.ceil(first.since + this.limitMs - now);
    this.#timer = setTimeout(() => this.#rejectLate(), leftMs);
  }
}
