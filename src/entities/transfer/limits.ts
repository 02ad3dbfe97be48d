import { type Db, withTransactionLimits } from '../../db/connection.js';

/** The time limits of imports and exports. */
export interface TransferLimits {
  /** The maximum time in which a client sends or reads nothing. */
  silenceMs: number;
  /** A client slower than this fails when the time lost by it adds up to `silenceMs`. */
  minBytesPerSecond: number;
  /** The maximum duration of an import or export. */
  durationMs: number;
}

export const DEFAULT_LIMITS: TransferLimits = {
  silenceMs: 30_000,
  minBytesPerSecond: 4096,
  durationMs: 3_600_000,
};

/** Returns the database with limits for a transaction that repeatedly waits for a client. */
export function forTransfer(db: Db, { silenceMs, durationMs }: TransferLimits): Db {
  return withTransactionLimits(db, {
    transactionTimeoutMs: durationMs,
    // The silence limit here comes first, so that the client gets an error before the server closes the connection.
    idleInTransactionTimeoutMs: 2 * silenceMs,
  });
}
