import { sql } from 'drizzle-orm';
import { createDatabaseConnection, type Db, type TDatabaseConfig } from '../connection.js';
import { parseDatabaseUrl } from '../driver/database-url.js';
import { DatabaseUrlError } from '../driver/url-error.js';
import { DataError } from '../errors.js';
import { positionOf, type ServerPosition, type WalPosition } from './wal-position.js';

/** A replica that is slower than this, to a question that costs nothing, is left out. */
export const LOOK_TIMEOUT_MS = 1000;
const LONGEST_PAUSE_MS = 5000;

/**
 * The timeline of the replay is told by the WAL receiver, to a role with pg_read_all_stats, and by the
 * control file, which follows at the next restart point.
 */
const LOOK = sql`
  select pg_is_in_recovery() as standby, pg_last_wal_replay_lsn()::text as lsn,
    greatest(
      (select received_tli from pg_stat_wal_receiver),
      (select min_recovery_end_timeline from pg_control_recovery()),
      (select timeline_id from pg_control_checkpoint())) as timeline,
    (select system_identifier::text from pg_control_system()) as cluster`;

type Seen = { standby: boolean; cluster: string } & ServerPosition;

/** One read replica: its pool, and what was seen of it last. */
export class Replica {
  readonly name: string;
  readonly db: Db;
  /** What it has replayed at least. Undefined while it is not to be used. */
  position: WalPosition | undefined;
  /** The identifier that a primary shares with its replicas. */
  cluster: string | undefined;
  readonly #connection;
  readonly #probe;
  readonly #running = new Set<(reason: Error) => void>();
  #looking = false;
  #nextLookAt = 0;
  #pauseMs = 0;

  constructor(config: TDatabaseConfig) {
    this.name = nameOf(config.url);
    this.#connection = createDatabaseConnection({ ...config, accept_standby: true });
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

  /** How many reads are under way. */
  get load(): number {
    return this.#running.size;
  }

  /** Runs a read. It is rejected as soon as the replica is known not to answer. */
  run<T>(read: (db: Db) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#running.add(reject);
      void read(this.db)
        .then(resolve, reject)
        .finally(() => this.#running.delete(reject));
    });
  }

  /** Looks where the replica is, unless it is early for that after a failure. Never rejects. */
  async look(): Promise<void> {
    if (this.#looking || performance.now() < this.#nextLookAt) return;
    this.#looking = true;
    try {
      const [seen] = await this.#probe.db.execute<Seen>(LOOK);
      this.position = seen!.standby && seen!.lsn ? positionOf(seen!) : undefined;
      this.cluster = seen!.cluster;
      this.#pauseMs = 0;
    } catch {
      this.#isAway();
    } finally {
      this.#looking = false;
    }
  }

  #isAway(): void {
    this.position = undefined;
    this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, 100), LONGEST_PAUSE_MS);
    this.#nextLookAt = performance.now() + this.#pauseMs;
    const reason = new DataError('database_unavailable', 'The replica does not answer.');
    for (const reject of this.#running) reject(reason);
  }

  /** Uses it no more until it has been looked at. */
  leaveOut(): void {
    this.position = undefined;
  }

  async close(): Promise<void> {
    await Promise.all([this.#connection.close(), this.#probe.close(0)]);
  }
}

/** Throws DatabaseUrlError for a URL of several hosts: what one has replayed says nothing about another. */
function nameOf(url: string): string {
  const { targets } = parseDatabaseUrl(url);
  if (targets.length > 1) {
    throw new DatabaseUrlError('names several hosts; give each replica a URL of its own');
  }
  const [{ host, port, path }] = targets as [(typeof targets)[0]];
  return path ?? `${host}:${port}`;
}
