/** Calls back when a server was silent for too long. All statements share one timer, and each of them restarts it. */
export class SilenceLimit {
  #timer: NodeJS.Timeout | undefined;
  #limitMs = 0;
  #hasEnded = false;

  constructor(private readonly onSilence: () => void) {}

  /** 0 means no limit, which is the value before the first `set`. */
  get limitMs(): number {
    return this.#limitMs;
  }

  set(limitMs: number): void {
    if (this.#hasEnded || this.#limitMs === limitMs) return;
    this.#limitMs = limitMs;
    clearTimeout(this.#timer);
    this.#timer = limitMs > 0 ? setTimeout(this.onSilence, limitMs).unref() : undefined;
  }

  /** Restarts the limit, because a statement was sent to the server. */
  restart(): void {
    this.#timer?.refresh();
  }

  end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
