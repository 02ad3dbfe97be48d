import { sql } from 'drizzle-orm';
import {
  connectToServer,
  createDatabaseConnection,
  type Db,
  type TDatabaseConfig,
} from '../connection.js';
import { parseDatabaseUrl } from '../driver/database-url.js';
import type { KnownServer } from '../driver/session-settings.js';
import type { ServerPosition } from '../query/noted-positions.js';
import { DatabaseUrlError } from '../driver/url-error.js';
import { DataError } from '../errors.js';
import { describeError } from '../explain-error.js';
import { positionOf, type WalPosition } from './wal-position.js';

/** A replica that answers a trivial query more slowly than this is not used. */
export const LOOK_TIMEOUT_MS = 1000;
const LONGEST_PAUSE_MS = 5000;

/**
 * The query for the state of a replica. The timeline of the replay comes from the WAL receiver, for a role with
 * pg_read_all_stats, and from the control file, which is updated at the next restart point.
 */
const LOOK = sql`
  select pg_is_in_recovery() as standby, pg_last_wal_replay_lsn()::text as lsn,
    greatest(
      (select received_tli from pg_stat_wal_receiver),
      (select min_recovery_end_timeline from pg_control_recovery()),
      (select timeline_id from pg_control_checkpoint())) as timeline,
    (select system_identifier::text from pg_control_system()) as cluster,
    pg_postmaster_start_time()::text as started`;

type Seen = { standby: boolean; cluster: string; started: string } & ServerPosition;

/** One read replica: its pool and its last known state. */
export class Replica {
  readonly name: string;
  readonly db: Db;
  /** The position that it has at least replayed. Undefined while it must not be used. */
  position: WalPosition | undefined;
  /** The identifier that a primary shares with its replicas. */
  cluster: string | undefined;
  readonly #connection;
  readonly #probe;
  readonly #server: KnownServer = { startedAt: undefined };
  readonly #running = new Set<(reason: Error) => void>();
  #looking = false;
  #nextLookAt = 0;
  #pauseMs = 0;
  #problem: string | undefined;
  #isClosed = false;

  /** `onCheck` is called when the check begins to fail, with the reason, and when it succeeds again. */
  constructor(
    config: TDatabaseConfig,
    private readonly onCheck?: (replica: string, problem: string | undefined) => void,
  ) {
    this.name = nameOf(config.url);
    this.#connection = connectToServer({ ...config, accept_standby: true }, this.#server);
    this.db = this.#connection.db;
    const application_name = `${config.application_name ?? 'projects-service'} replica check`;
    this.#probe = createDatabaseConnection({
      ...config,
      application_name,
      accept_standby: true,
      max: 1,
      idle_timeout: 0,
      connect_timeout: LOOK_TIMEOUT_MS / 1000,
      statement_timeout_ms: LOOK_TIMEOUT_MS,
    });
  }

  /** The number of running reads. */
  get load(): number {
    return this.#running.size;
  }

  /** Runs a read. It rejects as soon as it is known that the replica does not answer. */
  run<T>(read: (db: Db) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#running.add(reject);
      void read(this.db)
        .then(resolve, reject)
        .finally(() => this.#running.delete(reject));
    });
  }

  /** Updates the state of the replica, unless it must pause after a failure. Never rejects. */
  async look(): Promise<void> {
    if (this.#looking || performance.now() < this.#nextLookAt) return;
    this.#looking = true;
    try {
      const [seen] = await this.#probe.db.execute<Seen>(LOOK);
      if (this.#isOtherServer(seen!)) return this.#isAway();
      this.position = seen!.standby && seen!.lsn ? positionOf(seen!) : undefined;
      this.cluster = seen!.cluster;
      this.#pauseMs = 0;
      this.#report(seen!.standby ? undefined : 'The server is not a standby.');
    } catch (error) {
      this.#isAway();
      this.#report(describeError(error));
    } finally {
      this.#looking = false;
    }
  }

  /** The position of one server says nothing about another one, so no read may begin before and run after the change. */
  #isOtherServer({ started }: Seen): boolean {
    const before = this.#server.startedAt;
    this.#server.startedAt = started;
    return before !== undefined && before !== started;
  }

  #isAway(): void {
    this.position = undefined;
    this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, 100), LONGEST_PAUSE_MS);
    this.#nextLookAt = performance.now() + this.#pauseMs;
    const reason = new DataError('database_unavailable', 'The replica does not answer.');
    for (const reject of this.#running) reject(reason);
  }

  #report(problem: string | undefined): void {
    if (problem === this.#problem || this.#isClosed) return;
    this.#problem = problem;
    this.onCheck?.(this.name, problem);
  }

  /** Stops using the replica until its state has been updated. */
  leaveOut(): void {
    this.position = undefined;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([this.#connection.close(), this.#probe.close(0)]);
  }
}

/** Returns host and port. Throws DatabaseUrlError for several hosts, because each replays at its own pace. */
function nameOf(url: string): string {
  const { targets } = parseDatabaseUrl(url);
  if (targets.length > 1) {
    throw new DatabaseUrlError('names several hosts: write a separate URL for each replica');
  }
  const [{ host, port, path }] = targets as [(typeof targets)[0]];
  return path ?? `${host}:${port}`;
}
