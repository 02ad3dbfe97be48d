import type { Socket } from 'node:net';
import { bytesTaken } from '../internals/node.js';
import { unacknowledgedBytes } from './unacknowledged.js';

export interface UnreadLimits {
  /** The longest time in which a client may read nothing of its answer. */
  silenceMs: number;
  /** The maximum number of unsent bytes for all clients together. */
  maxBytes: number;
}

const SWEEP_MS = 250;

interface Progress {
  /** The time when the answer was first seen unsent, and the bytes that the client had taken by then. */
  since: number;
  takenAtFirst: number;
  taken: number;
  /** The time since the client last took a byte. */
  silentMs: number;
  /** The bytes in the system's send buffer at the last check. */
  unacknowledged?: number;
}

/**
 * Closes the connections of clients that do not read their answers: clients that read nothing for
 * `silenceMs`, and, while more than `maxBytes` are unsent in total, the slowest clients first. Otherwise
 * a slow client that continues to read keeps its connection. It checks four times a second; a client is
 * never called slow at its first check.
 *
 * The system's send buffer takes megabytes for a client and then nothing for a while, although the client
 * reads. So for clients that seem silent, the fill level of that buffer is checked too, where the system
 * reports it (unacknowledged.ts).
 */
export class UnreadAnswers {
  readonly #progress = new WeakMap<Socket, Progress>();
  readonly #timer: NodeJS.Timeout;
  #sweptAt = performance.now();
  #askedAt = -Infinity;

  constructor(
    private readonly connections: ReadonlySet<Socket>,
    private readonly limits: UnreadLimits,
  ) {
    this.#timer = setInterval(() => this.#sweep(), Math.min(SWEEP_MS, limits.silenceMs)).unref();
  }

  /** Shortens the time limit, for a shutdown. */
  hurry(silenceMs: number): void {
    this.limits.silenceMs = Math.min(this.limits.silenceMs, silenceMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const now = performance.now();
    // The time in which this process was too busy to check does not count against the clients.
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

  #isSilent(connection: Socket, now: number, elapsedMs: number): boolean {
    const taken = bytesTaken(connection);
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
    // The sort is stable: among equally slow clients the oldest connection comes first.
    waiting.sort((a, b) => a.rate - b.rate || b.silentMs - a.silentMs);
    let left = unsent;
    for (const { connection } of waiting) {
      if (left <= this.limits.maxBytes) return;
      left -= connection.writableLength;
      cut(connection);
    }
  }
}

/** Resets the connection, so that the system also drops the bytes that it holds. TLS has no reset. */
function cut(connection: Socket): void {
  if ('encrypted' in connection) connection.destroy();
  else connection.resetAndDestroy();
}

/** Returns the rate in bytes per millisecond. */
function rateOf({ since, takenAtFirst, taken }: Progress, now: number): number {
  return (taken - takenAtFirst) / (now - since);
}
