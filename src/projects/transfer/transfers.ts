import { type Db, mostConnections } from '../../db/connection.js';
import { DataError } from '../../db/errors.js';
import { DEFAULT_LIMITS, forTransfer, type TransferLimits } from './limits.js';

const MOST_AT_ONCE = 4;

/** The imports and exports under way, each of which holds a connection for as long as its client takes. */
export class Transfers {
  readonly limits: TransferLimits & { atOnce: number };
  #underWay = 0;

  constructor(private readonly db: Db) {
    const atOnce = Math.min(MOST_AT_ONCE, Math.max(1, mostConnections(db) - 1));
    this.limits = { ...DEFAULT_LIMITS, atOnce };
  }

  /** Throws `pool_exhausted` when as many are under way as may be, so that other requests find a connection. */
  async run<T>(work: (db: Db) => Promise<T>): Promise<T> {
    if (this.#underWay >= this.limits.atOnce) {
      throw new DataError('pool_exhausted', 'Too many imports and exports are under way.');
    }
    this.#underWay++;
    try {
      return await work(forTransfer(this.db, this.limits));
    } finally {
      this.#underWay--;
    }
  }
}
