/** Calls back when a server was silent for too long. One timer for all statements: each of them restarts it. */
export class SilenceLimit {
  #timer: NodeJS.Timeout | undefined;
  #limitMs = 0;
  #hasEnded = false;

  constructor(private readonly onSilence: () => void) {}

  /** 0 is no limit, as before the first `set`. */
  get limitMs(): number {
    return this.#limitMs;
  }

  set(limitMs: number): void {
    if (this.#hasEnded || this.#limitMs === limitMs) return;
    this.#limitMs = limitMs;
    clearTimeout(this.#timer);
    this.#timer = limitMs > 0 ? setTimeout(this.onSilence, limitMs).unref() : undefined;
  }

  /** The server has been asked something: it may be silent for the whole limit again. */
  restart(): void {
    this.#timer?.refresh();
  }

  end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
