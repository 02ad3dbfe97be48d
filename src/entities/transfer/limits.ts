import { type Db, withTransactionLimits } from '../../db/connection.js';

/** In milliseconds. */
export interface TransferLimits {
  /** Longest time in which a sender sends nothing, or a reader takes nothing. */
  silenceMs: number;
  /** A sender that is slower, beyond `silenceMs`, is given up. */
  minBytesPerSecond: number;
  /** Longest import or export. */
  durationMs: number;
}

export const DEFAULT_LIMITS: TransferLimits = {
  silenceMs: 30_000,
  minBytesPerSecond: 4096,
  durationMs: 3_600_000,
};

/** The database for a transaction that waits for a client again and again. */
export function forTransfer(db: Db, { silenceMs, durationMs }: TransferLimits): Db {
  return withTransactionLimits(db, {
    transactionTimeoutMs: durationMs,
    // Who is silent is told so here, before the server ends the connection.
    idleInTransactionTimeoutMs: 2 * silenceMs,
  });
}
