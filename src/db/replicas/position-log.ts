import type { WalPosition } from './wal-position.js';

const KEPT_MS = 5 * 60_000;
/** The minimum time between two entries. */
const GRAIN_MS = 100;

interface Entry {
  position: WalPosition;
  /** By performance.now(), before the server was asked. */
  at: number;
}

/**
 * A log of the positions of the primary over time. It gives the age of a replica's data without comparing clocks:
 * the age is the time since the last moment at which the primary was not ahead of the replica. An idle primary
 * causes no lag, and a disconnected replica does not look fresh.
 */
export class PositionLog {
  #entries: Entry[] = [];

  get last(): WalPosition | undefined {
    return this.#entries.at(-1)?.position;
  }

  /** Records that the primary was at `position` at the time `at` or later. */
  note(position: WalPosition, at: number): void {
    const last = this.#entries.at(-1);
    if (last && at < last.at) return; // answers may overtake each other
    if (last && !isContinued(last.position, position)) this.#entries = [];
    else if (last && last.position.lsn === position.lsn) last.at = at;
    else if (last && at < last.at + GRAIN_MS) return;
    if (this.last?.lsn !== position.lsn) this.#entries.push({ position, at });
    if (this.#entries[0]!.at < at - KEPT_MS) this.#entries.shift();
  }

  /** Returns the age in milliseconds of the data of a server at `position`; Infinity if it exceeds `limitMs`. */
  ageAt(position: WalPosition, now: number, limitMs = Infinity): number {
    if (position.timeline !== this.last?.timeline) return Infinity;
    for (let n = this.#entries.length - 1; n >= 0; n--) {
      const { position: then, at } = this.#entries[n]!;
      if (now - at > limitMs) break;
      if (position.lsn >= then.lsn) return now - at;
    }
    return Infinity;
  }
}

/** False if another server has become the primary. */
function isContinued(last: WalPosition, next: WalPosition): boolean {
  return last.timeline === next.timeline && last.lsn <= next.lsn;
}
