import { setMaxListeners } from 'node:events';
import type { OnModuleDestroy } from '@nestjs/common';
import { type Db, mostConnections } from '../../db/connection.js';
import { DataError } from '../../db/errors.js';
import { Problem } from '../../http/problems/problem.js';
import { DEFAULT_LIMITS, forTransfer, type TransferLimits } from './limits.js';

/** The maximum number of each kind, so that imports cannot block exports and exports cannot block imports. */
const MAX_OF_A_KIND = 3;
/** The maximum number of imports that wait for their first rows. They use memory, but no connection. */
const MAX_BEGINNING = 32;
/** The time after the beginning of a shutdown in which short transfers can finish. */
const END_AFTER_MS = 1000;

type Kind = 'import' | 'export';

type Counts = Record<Kind | 'beginning', number>;

/** The counts by database, because the transfers of all entities on one database share its connections. */
const countsOfDatabases = new WeakMap<Db, Counts>();

function countsOf(db: Db): Counts {
  const counts = countsOfDatabases.get(db) ?? { import: 0, export: 0, beginning: 0 };
  countsOfDatabases.set(db, counts);
  return counts;
}

/** Limits the running imports and exports, each of which holds a connection as long as its client needs. */
export class Transfers implements OnModuleDestroy {
  readonly limits: TransferLimits & { ofAKind: number; atOnce: number };
  readonly #running: Counts;
  readonly #ending = new AbortController();

  constructor(private readonly db: Db) {
    const spare = Math.max(1, mostConnections(db) - 1);
    const ofAKind = Math.min(MAX_OF_A_KIND, Math.max(1, Math.floor(spare / 3)));
    this.#running = countsOf(db);
    setMaxListeners(0, this.signal); // each transfer adds a listener
    this.limits = { ...DEFAULT_LIMITS, ofAKind, atOnce: Math.min(spare, 2 * ofAKind) };
  }

  /** Aborts when a shutdown no longer waits for transfers. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  /** Runs the beginning of an import, until its first rows have arrived. Throws `pool_exhausted` if there are too many. */
  async beginning<T>(work: () => Promise<T>): Promise<T> {
    return await this.#counted('beginning', MAX_BEGINNING, work);
  }

  /** Runs a transfer. Throws `pool_exhausted` if too many are running, so that other requests get connections. */
  async run<T>(kind: Kind, work: (db: Db) => Promise<T>): Promise<T> {
    const { ofAKind, atOnce } = this.limits;
    const others = this.#running[kind === 'import' ? 'export' : 'import'];
    const most = Math.min(ofAKind, atOnce - others);
    return await this.#counted(kind, most, () => work(forTransfer(this.db, this.limits)));
  }

  async #counted<T>(what: Kind | 'beginning', most: number, work: () => Promise<T>): Promise<T> {
    if (this.signal.aborted) throw shuttingDown();
    if (this.#running[what] >= most) {
      const kind = what === 'export' ? 'exports' : 'imports';
      throw new DataError('pool_exhausted', `Too many ${kind} are running. Try again later.`);
    }
    this.#running[what]++;
    try {
      return await work();
    } finally {
      this.#running[what]--;
    }
  }

  /** Aborts the running transfers after a second. The server waits for the answers before it closes. */
  onModuleDestroy(): void {
    setTimeout(() => this.#ending.abort(shuttingDown()), END_AFTER_MS).unref();
  }
}

function shuttingDown(): Problem {
  return new Problem(
    'not_ready',
    'The service is shutting down. No row of the file was written. Send the file again.',
    { headers: { Connection: 'close' } },
  );
}
