import type { Db } from '../../db/connection.js';
import { DataError } from '../../db/errors.js';
import { DEFAULT_LIMITS, forTransfer } from './limits.js';

/** The imports and exports under way, each of which holds a connection for as long as its client takes. */
export class Transfers {
  readonly limits = { ...DEFAULT_LIMITS, atOnce: 4 };
  #underWay = 0;

  constructor(private readonly db: Db) {}

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
