import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { feedPosition } from '../changes/feed.js';
import { WakeUp } from '../changes/wake-up.js';
import type { MeshAddress } from '../config/mesh-url.js';
import { type Db, listenBeside } from '../db/connection.js';
import type { FeedPage, FeedPosition } from '../db/entity/change-feed.js';
import { createChangesFactory } from '../db/entity/changes.factory.js';
import { asDataError } from '../db/errors.js';
import { createRelayFactory, type RelayFactory } from '../db/factories/relay.factory.js';
import { toCloudEvent } from './cloud-event.js';
import type { EventStream, StreamEnd } from './event-stream.js';
import { optionalPackage } from '../process/optional-package.js';
import { publishRelayEvent } from './relay-lag.js';

export interface RelayOptions {
  address: Extract<MeshAddress, { transport: 'nats' }>;
  /** The entity whose changes are published, and the path of its routes. */
  entity: { name: string; path: string };
  /** `ce-source` of the events. */
  source: string;
  /** The time after which another instance takes over from a silent holder; default 5,000. */
  leaseMs?: number;
}

const LEASE_MS = 5000;
/** The longest time between two reads of the holder, if no notification arrives. */
const POLL_MS = 1000;
const RETRY_MS = 1000;
/** The pause after a page, so that a thousand commits per second do not cause a thousand pages. */
const PAUSE_MS = 25;
const PAGE = 100;

/**
 * Publishes the change feed to JetStream, each change once and in the order of the feed. Only the instance that holds a
 * lease in the database publishes. It continues after the last message of the stream or, if the stream is empty, after
 * the position in the database. While the broker or the database is unavailable, it waits and retries.
 */
export class Relay implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #logger = new Logger('Relay');
  readonly #holder = randomUUID();
  readonly #stopping = new AbortController();
  readonly #wakeUp = new WakeUp();
  readonly #leaseMs: number;
  readonly #lease: RelayFactory;
  #running = Promise.resolve();
  #stream: EventStream | undefined;
  /** The end of the lease on the clock of this process, measured from before the statement that took or renewed it. */
  #heldUntil = 0;
  #reported: string | undefined;
  #pendingSince: number | undefined;

  constructor(
    private readonly db: Db,
    private readonly options: RelayOptions,
  ) {
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.#lease = createRelayFactory(db, options.entity.path);
  }

  onApplicationBootstrap(): void {
    this.#running = this.#run();
  }

  async onModuleDestroy(): Promise<void> {
    this.#stopping.abort();
    this.#wakeUp.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const held = await this.#hold();
        if (held) await this.#relay(held.published);
        else this.#observe({ isHolder: false });
      } catch (error) {
        this.#failed(error);
      }
      await this.#release();
      await sleep(RETRY_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #hold() {
    const from = performance.now();
    const held = await this.#lease.hold(this.#holder, this.#leaseMs);
    this.#heldUntil = held ? from + this.#leaseMs : 0;
    return held;
  }

  /** Publishes page after page while the lease is held. */
  async #relay(published: FeedPosition | undefined): Promise<void> {
    const own = listenBeside(this.db, 'changes', () => this.#wakeUp.wake());
    try {
      const changes = createChangesFactory(own?.db ?? this.db, this.options.entity.name);
      const read = (after?: FeedPosition) => changes.getFeedPage({ after, limit: PAGE });
      await this.#noteLag(() => read(published));
      this.#stream ??= await this.#open();
      let end = await this.#stream.end();
      let after = end.id === undefined ? published : this.#positionOf(end.id);
      while (await this.#isHeld()) {
        const page = await read(after);
        this.#note(page);
        if (page.changes.length > 0) {
          end = await this.#publish(page, end);
          after = page.next;
          if (!(await this.#advance(after))) return;
        }
        this.#reported = undefined;
        if (page.hasMore) continue;
        this.#note({ changes: [] });
        if (page.changes.length > 0) await sleep(PAUSE_MS);
        await this.#wakeUp.wait(POLL_MS);
      }
    } finally {
      await own?.close();
    }
  }

  /** Reads the lag before connecting, so that it is known while the broker is unavailable. The changes may have expired. */
  async #noteLag(read: () => Promise<FeedPage>): Promise<void> {
    const page = await read().catch((error: unknown) => {
      if (asDataError(error)?.code !== 'cursor_expired') throw error;
    });
    if (page) this.#note(page);
  }

  /** Renews the lease in the last two thirds of its time. */
  async #isHeld(): Promise<boolean> {
    if (this.#stopping.signal.aborted) return false;
    if (performance.now() < this.#heldUntil - (this.#leaseMs * 2) / 3) return true;
    return (await this.#hold()) !== undefined;
  }

  async #publish({ changes }: FeedPage, end: StreamEnd): Promise<StreamEnd> {
    const { source, entity } = this.options;
    const events = changes.map((change) => toCloudEvent(change, { source, path: entity.path }));
    // Check directly before sending: this process may have been suspended since it read the events.
    if (performance.now() >= this.#heldUntil) throw new Error('the lease ran out');
    const newEnd = await this.#stream!.publish(events, end);
    publishRelayEvent({
      db: this.db,
      isHolder: true,
      published: events.length,
      pendingSince: this.#pendingSince,
    });
    return newEnd;
  }

  async #advance(published: FeedPosition): Promise<boolean> {
    const from = performance.now();
    const isHeld = await this.#lease.advance(this.#holder, published, this.#leaseMs);
    this.#heldUntil = isHeld ? from + this.#leaseMs : 0;
    return isHeld;
  }

  async #open(): Promise<EventStream> {
    const load = () => import('./event-stream.js');
    const { EventStream } = await optionalPackage('@nats-io/jetstream', load, 'The event relay');
    return await EventStream.open(this.options.address, this.options.entity.path);
  }

  #positionOf(id: string): FeedPosition {
    try {
      return feedPosition(this.options.entity.name, id);
    } catch {
      throw new Error(`the last message of the stream was not published by the relay (${id})`);
    }
  }

  #note({ changes }: Pick<FeedPage, 'changes'>): void {
    const [first] = changes;
    this.#observe({ isHolder: true, pendingSince: first && Date.parse(first.at) });
  }

  #observe(seen: { isHolder: boolean; pendingSince?: number }): void {
    this.#pendingSince = seen.pendingSince;
    publishRelayEvent({ db: this.db, ...seen, published: 0 });
  }

  /** Releases the lease and the connection, so that another instance can try. */
  async #release(): Promise<void> {
    const stream = this.#stream;
    this.#stream = undefined;
    await stream?.close().catch(() => undefined);
    if (this.#heldUntil === 0) return;
    this.#heldUntil = 0;
    await this.#lease.release(this.#holder).catch(() => undefined); // the lease expires by itself
  }

  #failed(error: unknown): void {
    const code = asDataError(error)?.code;
    if (code === 'cursor_expired')
      this.#observe({ isHolder: true, pendingSince: this.#pendingSince ?? Date.now() });
    const reason = code === 'cursor_expired' ? EXPIRED : (code ?? (error as Error).message);
    if (reason === this.#reported) return;
    this.#reported = reason;
    if (code === 'cursor_expired') this.#logger.error(reason);
    else this.#logger.warn(`events are not published at the moment: ${reason}`);
  }
}

const EXPIRED =
  'events are no longer published: changes after the last published one have been removed, or the database was restored to a state before it. ' +
  'Let consumers read everything again: purge the stream, and delete the row of the table relays (docs/events.md).';
