import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import {
  connectBeside,
  type Db,
  poolStats,
  type TDatabaseConfig,
  wantPositions,
} from '../connection.js';
import {
  BEYOND_ALL,
  END_OF_WAL,
  notedPosition,
  type ServerPosition,
} from '../query/noted-positions.js';
import type { PoolStats } from '../driver/pool.js';
import { asDataError, DataError, type DataErrorCode } from '../errors.js';
import { batched } from '../query/batched.js';
import { PositionLog } from './position-log.js';
import { LOOK_TIMEOUT_MS, Replica } from './replica.js';
import {
  endOfLastRecord,
  formatPosition,
  includes,
  parsePosition,
  positionOf,
  type WalPosition,
} from './wal-position.js';

export interface ReplicaOptions {
  /** The maximum age of the data for a read without a token; default 1000, 0 means no limit. */
  maxLagMs?: number;
  /**
   * Called when the check of a replica begins to fail, with the reason, which contains no password, and with undefined
   * when it succeeds again.
   */
  onCheck?: (replica: string, problem: string | undefined) => void;
}

export interface ReplicaStats {
  /** The host and port. */
  name: string;
  /** True if it serves reads whose token it has replayed. */
  healthy: boolean;
  /** The maximum age of its data; Infinity if it is unknown. */
  lagMs: number;
  /** The number of reads that it has answered. */
  reads: number;
  pool: PoolStats | undefined;
}

export interface Replicas {
  /**
   * Runs a read on a replica that has replayed the token and is not too old; if there is none, on the primary. If a
   * replica fails, the read runs again on another one or on the primary, so it must have no side effects. Throws
   * `invalid_value` if the text is not a token.
   */
  read<T>(token: string | undefined, work: (db: Db) => Promise<T>): Promise<T>;
  /**
   * Returns a token of everything that has been committed. Concurrent calls share one statement. Never rejects: if the
   * position cannot be read, reads with the token run on the primary.
   *
   * With the result of the only write of a request, such as a row that a factory has created, it returns a token of
   * that write. It needs no statement if a position was noted with the write. The first result with one is used.
   */
  written(...results: unknown[]): Promise<string>;
  stats(): ReplicaStats[];
  /** The number of reads that ran on the primary because no replica could serve them. */
  readonly readsOnPrimary: number;
  close(): Promise<void>;
}

/** The maximum pause between two checks of the replicas; shorter if `maxLagMs` requires it. */
const LOOK_EVERY_MS = 250;
/** The minimum pause, for reads whose token no replica is known to have replayed. */
const LOOK_AGAIN_MS = 25;
const DEFAULT_MAX_LAG_MS = 1000;

const POSITION = sql`
  select wal_end.*, system_identifier::text as cluster
  from (${sql.raw(END_OF_WAL)}) as wal_end, pg_control_system()`;

/** The errors after which another server is tried. A standby cancels reads that conflict with its replay (40001). */
const ANOTHER_MAY_ANSWER = new Set<DataErrorCode | undefined>([
  'database_unavailable',
  'pool_exhausted',
  'conflict',
]);

const known = new WeakMap<Db, Replicas>();

/** Returns the replicas of a primary that `createReplicas` has created; undefined if there are none. */
export function replicasOf(primary: Db): Replicas | undefined {
  return known.get(primary);
}

/** True if a text has the format of a token. */
export function isConsistencyToken(text: string): boolean {
  return parsePosition(text) !== undefined;
}

/**
 * Creates the read replicas of a primary, each with its own pool. Throws DatabaseUrlError for a URL with several hosts,
 * because each server replays at its own pace.
 *
 * It opens additional connections to check the positions: one to the primary and one to each replica. No read waits for
 * them.
 */
export function createReplicas(
  primary: Db,
  configs: TDatabaseConfig[],
  options: ReplicaOptions = {},
): Replicas {
  const replicas = new ReplicaSet(primary, configs, options);
  known.set(primary, replicas);
  wantPositions(primary, true);
  return replicas;
}

class ReplicaSet implements Replicas {
  readsOnPrimary = 0;
  readonly #primary: Db;
  readonly #maxLagMs: number;
  readonly #replicas: { replica: Replica; reads: number }[];
  readonly #log = new PositionLog();
  readonly #watcher;
  readonly #watching = new AbortController();
  readonly #position = batched(async () => new Map([['', await this.#readPosition()]]));
  readonly #tokens = new WeakMap<ServerPosition, string>();
  #cluster: string | undefined;
  #lookedAt = 0;

  constructor(primary: Db, configs: TDatabaseConfig[], { maxLagMs, onCheck }: ReplicaOptions) {
    this.#primary = primary;
    this.#maxLagMs = maxLagMs ?? DEFAULT_MAX_LAG_MS;
    this.#replicas = configs.map((config) => ({ replica: new Replica(config, onCheck), reads: 0 }));
    this.#watcher = connectBeside(primary, {
      application_name: 'projects-service replication check',
      max: 1,
      idle_timeout: 0,
      statement_timeout_ms: LOOK_TIMEOUT_MS,
    });
    void this.#watch();
  }

  async read<T>(token: string | undefined, work: (db: Db) => Promise<T>): Promise<T> {
    const position = token === undefined ? undefined : parsePosition(token);
    if (token !== undefined && !position) {
      throw new DataError('invalid_value', 'The value is not a consistency token.');
    }
    const tried = new Set<Replica>();
    for (;;) {
      const chosen = this.#choose(position, tried);
      if (!chosen) break;
      try {
        const answer = await chosen.replica.run(work);
        chosen.reads++;
        return answer;
      } catch (error) {
        const code = asDataError(error)?.code;
        if (!ANOTHER_MAY_ANSWER.has(code)) throw error;
        if (code !== 'conflict') chosen.replica.leaveOut();
        tried.add(chosen.replica);
      }
    }
    if (position) this.#lookSoon();
    this.readsOnPrimary++;
    return await work(this.#primary);
  }

  async written(...results: unknown[]): Promise<string> {
    const noted = results.map(notedPosition).find((position) => position);
    if (noted) return this.#tokenAt(noted);
    const position = await this.#position('').catch(() => undefined);
    return formatPosition(position ?? positionOf(BEYOND_ALL));
  }

  /** All rows of a statement have the same position. */
  #tokenAt(noted: ServerPosition): string {
    let token = this.#tokens.get(noted);
    if (!token) this.#tokens.set(noted, (token = formatPosition(endOfLastRecord(noted))));
    return token;
  }

  stats(): ReplicaStats[] {
    const now = performance.now();
    return this.#replicas.map(({ replica, reads }) => ({
      name: replica.name,
      healthy: this.#isFit(replica, now),
      lagMs: replica.position ? this.#log.ageAt(replica.position, now) : Infinity,
      reads,
      pool: poolStats(replica.db),
    }));
  }

  async close(): Promise<void> {
    known.delete(this.#primary);
    wantPositions(this.#primary, false);
    this.#watching.abort();
    const closing = this.#replicas.map(({ replica }) => replica.close());
    await Promise.all([...closing, this.#watcher?.close(0)]);
  }

  /** Returns the least busy replica that may serve the read. */
  #choose(token: WalPosition | undefined, tried: ReadonlySet<Replica>) {
    const now = performance.now();
    return this.#replicas
      .filter(({ replica }) => !tried.has(replica) && this.#isFit(replica, now))
      .filter(({ replica }) => !token || includes(replica.position!, token))
      .sort((a, b) => a.replica.load - b.replica.load || a.reads - b.reads)
      .at(0);
  }

  #isFit({ position, cluster }: Replica, now: number): boolean {
    if (!position || (this.#cluster && cluster !== this.#cluster)) return false;
    if (this.#maxLagMs > 0) return this.#log.ageAt(position, now, this.#maxLagMs) < Infinity;
    return !this.#log.last || position.timeline === this.#log.last.timeline;
  }

  /** Schedules a check, because a replica may have replayed the token meanwhile and can then serve the next read. */
  #lookSoon(): void {
    const now = performance.now();
    if (now < this.#lookedAt + LOOK_AGAIN_MS) return;
    this.#lookedAt = now;
    for (const { replica } of this.#replicas) void replica.look();
  }

  get #watchedBy(): Db {
    return this.#watcher?.db ?? this.#primary;
  }

  async #readPosition(): Promise<WalPosition> {
    const at = performance.now();
    const [seen] = await this.#watchedBy.execute<ServerPosition & { cluster: string }>(POSITION);
    this.#cluster = seen!.cluster;
    const position = endOfLastRecord(seen!);
    this.#log.note(position, at);
    return position;
  }

  /** Checks the primary before the replicas, so that these have probably replayed its position. */
  async #watch(): Promise<void> {
    const { signal } = this.#watching;
    const pauseMs = Math.min(LOOK_EVERY_MS, this.#maxLagMs > 0 ? this.#maxLagMs / 4 : Infinity);
    while (!signal.aborted) {
      const asked = this.#position('').catch(() => undefined);
      await Promise.race([asked, sleep(LOOK_EVERY_MS, undefined, { ref: false })]);
      for (const { replica } of this.#replicas) void replica.look();
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}
