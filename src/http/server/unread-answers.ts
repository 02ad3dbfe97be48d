import type { Connection } from './connections.js';
import { unacknowledgedBytes } from './unacknowledged.js';

export interface UnreadLimits {
  /** Longest time in which a client takes nothing of its answer, in milliseconds. */
  silenceMs: number;
  /** The most that is kept unsent for all clients together, in bytes. */
  maxBytes: number;
}

const SWEEP_MS = 250;

interface Progress {
  /** When the answer was first found unsent, and what the client had taken by then. */
  since: number;
  takenAtFirst: number;
  taken: number;
  /** For how long the client has taken nothing. */
  silentMs: number;
  /** What the system kept for it when it was last asked. */
  unacknowledged?: number;
}

/** What Node keeps of a socket: the bytes handed over, and those of them that the system has not taken. */
interface Handle {
  bytesWritten?: number;
  writeQueueSize?: number;
}

/**
 * Closes the connections of clients that do not read their answers: those that take nothing for
 * `silenceMs`, and, while more than `maxBytes` are unsent in all, the slowest first. Otherwise a slow
 * client that goes on reading keeps its connection. Looks four times a second, and cuts off nobody
 * for being slow whom it sees for the first time.
 *
 * The system takes megabytes for a client and then nothing for a while, although the client reads. So it
 * is asked, where it tells (unacknowledged.ts), how much it still keeps for those who seem silent.
 */
export class UnreadAnswers {
  readonly #progress = new WeakMap<Connection, Progress>();
  readonly #timer: NodeJS.Timeout;
  #sweptAt = performance.now();
  #askedAt = -Infinity;

  constructor(
    private readonly connections: ReadonlySet<Connection>,
    private readonly limits: UnreadLimits,
  ) {
    this.#timer = setInterval(() => this.#sweep(), Math.min(SWEEP_MS, limits.silenceMs)).unref();
  }

  /** For a shutdown, which does not wait as long for clients that take nothing. */
  hurry(silenceMs: number): void {
    this.limits.silenceMs = Math.min(this.limits.silenceMs, silenceMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const now = performance.now();
    // Clients are not blamed for the time in which this process was too busy to look.
    const elapsedMs = Math.min(now - this.#sweptAt, 2 * SWEEP_MS);
    this.#sweptAt = now;
    void this.#noticeAcknowledgements(now);
    let unsent = 0;
    for (const connection of this.connections) {
      if (connection.writableLength === 0) this.#progress.delete(connection);
      else if (this.#isSilent(connection, now, elapsedMs)) cut(connection);
      else unsent += connection.writableLength;
    }
    if (unsent > this.limits.maxBytes) this.#cutSlowest(unsent, now);
  }

  #isSilent(connection: Connection, now: number, elapsedMs: number): boolean {
    const taken = takenBy(connection);
    const known = this.#progress.get(connection);
    if (known?.taken === taken) {
      known.silentMs += elapsedMs;
      return known.silentMs > this.limits.silenceMs;
    }
    const { since, takenAtFirst } = known ?? { since: now, takenAtFirst: taken };
    this.#progress.set(connection, { since, takenAtFirst, taken, silentMs: 0 });
    return false;
  }

  async #noticeAcknowledgements(now: number): Promise<void> {
    const { silenceMs } = this.limits;
    if (now - this.#askedAt < silenceMs / 30) return;
    const quiet = [...this.connections].filter(
      (connection) => (this.#progress.get(connection)?.silentMs ?? 0) > silenceMs / 10,
    );
    if (quiet.length === 0) return;
    this.#askedAt = Infinity; // one question at a time
    for (const [connection, bytes] of await unacknowledgedBytes(quiet)) {
      const progress = this.#progress.get(connection);
      if (!progress) continue;
      if (bytes < (progress.unacknowledged ?? 0)) progress.silentMs = 0;
      progress.unacknowledged = bytes;
    }
    this.#askedAt = performance.now();
  }

  #cutSlowest(unsent: number, now: number): void {
    const waiting = [...this.connections].flatMap((connection) => {
      const progress = this.#progress.get(connection);
      const isKnown = progress && progress.since < now && !connection.destroyed;
      if (!isKnown) return [];
      return [{ connection, rate: rateOf(progress, now), silentMs: progress.silentMs }];
    });
    // The sort is stable: of those silent for as long, the oldest connection comes first.
    waiting.sort((a, b) => a.rate - b.rate || b.silentMs - a.silentMs);
    let left = unsent;
    for (const { connection } of waiting) {
      if (left <= this.limits.maxBytes) return;
      left -= connection.writableLength;
      cut(connection);
    }
  }
}

/** Resets it where it can be, so that the system drops too what it still keeps for the client. */
function cut(connection: Connection): void {
  if ('encrypted' in connection) connection.destroy();
  else connection.resetAndDestroy();
}

/** Bytes a millisecond. */
function rateOf({ since, takenAtFirst, taken }: Progress, now: number): number {
  return (taken - takenAtFirst) / (now - since);
}

/** The bytes that the system has taken for the client, also of an answer that was written at once. */
function takenBy(connection: Connection): number {
  const { _handle: handle } = connection as unknown as { _handle?: Handle | null };
  return (handle?.bytesWritten ?? 0) - (handle?.writeQueueSize ?? 0);
}
