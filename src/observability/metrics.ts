import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { FEED_CHANNEL, type FeedEventLag } from '../changes/feed-lag.js';
import { type Db, poolStats } from '../db/connection.js';
import { InjectDatabase } from '../db/database.module.js';
import {
  ACQUIRE_CHANNEL,
  type AcquireEvent,
  STATEMENT_CHANNEL,
  type StatementEvent,
} from '../db/observed.js';
import { RELAY_CHANNEL, type RelayEvent } from '../mesh/relay-lag.js';
import { replicasOf } from '../db/replicas/replicas.js';
import type { AnsweredMessage } from '../http/messages/message-request.js';
import type { Answered } from '../http/server/answered.js';

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** The measured delay includes the resolution. 20 ms costs 0.4 % of a core when idle. */
const RESOLUTION_MS = 20;
const OPERATIONS = new Set(['select', 'insert', 'update', 'delete', 'with', 'begin', 'copy']);

/**
 * The metrics of /metrics. It has its own registry, because prom-client's global one would mix two
 * applications in one process. The values of labels are closed sets: no input of a client becomes a label.
 */
@Injectable()
export class Metrics implements OnApplicationShutdown {
  readonly #registry = new Registry();
  readonly #loop = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #requests: Histogram<'method' | 'route' | 'status'>;
  readonly #messages: Histogram<'pattern' | 'status'>;
  readonly #statements: Histogram<'operation'>;
  readonly #acquires: Histogram;
  readonly #feedLag: Gauge;
  readonly #published: Counter;
  #relay: Partial<RelayEvent> = {};

  constructor(@InjectDatabase() private readonly db: Db) {
    this.#requests = this.#histogram(
      'http_request_duration_seconds',
      'Time from the arrival of a request to the end of its answer.',
      ['method', 'route', 'status'],
    );
    this.#messages = this.#histogram(
      'message_duration_seconds',
      'Time from a message to its answer.',
      ['pattern', 'status'],
    );
    this.#statements = this.#histogram('db_statement_seconds', 'Duration of a statement.', [
      'operation',
    ]);
    this.#acquires = this.#histogram(
      'db_acquire_seconds',
      'Time to get a connection when none was idle.',
      [],
    );
    this.#feedLag = new Gauge({
      name: 'changes_feed_lag_seconds',
      help: 'Time from the last change to its delivery to a stream.',
      registers: [this.#registry],
    });
    this.#published = new Counter({
      name: 'relay_published_total',
      help: 'Events that this instance has published.',
      registers: [this.#registry],
    });
    this.#relayMetrics();
    this.#poolMetrics();
    this.#replicaMetrics();
    this.#loopMetric();
    subscribe(STATEMENT_CHANNEL, this.#onStatement);
    subscribe(ACQUIRE_CHANNEL, this.#onAcquire);
    subscribe(FEED_CHANNEL, this.#onFeed);
    subscribe(RELAY_CHANNEL, this.#onRelay);
    this.#loop.enable();
  }

  /** Records an answered request. */
  observe({ method, route, status, ms }: Answered): void {
    this.#requests.observe({ method, route, status }, ms / 1000);
  }

  observeMessage({ pattern, status, ms }: AnsweredMessage): void {
    this.#messages.observe({ pattern, status }, ms / 1000);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Returns the metrics in the Prometheus text format, version 0.0.4. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  onApplicationShutdown(): void {
    unsubscribe(STATEMENT_CHANNEL, this.#onStatement);
    unsubscribe(ACQUIRE_CHANNEL, this.#onAcquire);
    unsubscribe(FEED_CHANNEL, this.#onFeed);
    unsubscribe(RELAY_CHANNEL, this.#onRelay);
    this.#loop.disable();
  }

  #onStatement = (message: unknown): void => {
    const { text, ms } = message as StatementEvent;
    const word = /^\s*(\w+)/.exec(text)?.[1]!.toLowerCase() ?? '';
    this.#statements.observe({ operation: OPERATIONS.has(word) ? word : 'other' }, ms / 1000);
  };

  #onAcquire = (message: unknown): void => {
    this.#acquires.observe((message as AcquireEvent).ms / 1000);
  };

  #onFeed = (message: unknown): void => {
    this.#feedLag.set((message as FeedEventLag).ms / 1000);
  };

  #onRelay = (message: unknown): void => {
    const event = message as RelayEvent;
    if (event.db !== this.db) return;
    this.#relay = event;
    this.#published.inc(event.published);
  };

  /** Computes the lag at each scrape, so that it grows while nothing is published. */
  #relayMetrics(): void {
    const seen = () => this.#relay;
    const registers = [this.#registry];
    new Gauge({
      name: 'relay_lag_seconds',
      help: 'Age of the oldest unpublished change, at the instance that relays.',
      registers,
      collect() {
        const { pendingSince } = seen();
        this.set(pendingSince === undefined ? 0 : Math.max(0, Date.now() - pendingSince) / 1000);
      },
    });
    new Gauge({
      name: 'relay_holder',
      help: '1 at the instance that publishes events.',
      registers,
      collect() {
        this.set(seen().isHolder ? 1 : 0);
      },
    });
  }

  #histogram<L extends string>(name: string, help: string, labelNames: L[]): Histogram<L> {
    return new Histogram({
      name,
      help,
      labelNames,
      buckets: SECONDS,
      registers: [this.#registry],
    });
  }

  /** Reads the statistics of the pool at each scrape. */
  #poolMetrics(): void {
    const stats = () => poolStats(this.db);
    const registers = [this.#registry];
    new Gauge({
      name: 'db_pool_sessions',
      help: 'Connections of the pool: open, idle (a part of the open ones), and opening.',
      labelNames: ['state'],
      registers,
      collect() {
        const { open = 0, idle = 0, opening = 0 } = stats() ?? {};
        this.set({ state: 'open' }, open);
        this.set({ state: 'idle' }, idle);
        this.set({ state: 'opening' }, opening);
      },
    });
    new Gauge({
      name: 'db_pool_waiting',
      help: 'Callers that wait for a connection now.',
      registers,
      collect() {
        this.set(stats()?.waiting ?? 0);
      },
    });
    new Counter({
      name: 'db_pool_timeouts_total',
      help: 'Number of waits for a connection that ended with a timeout.',
      registers,
      collect() {
        this.reset();
        this.inc(stats()?.timeouts ?? 0);
      },
    });
  }

  /** Without replicas these metrics have no values. The label is the host and port from the configuration. */
  #replicaMetrics(): void {
    const replicas = () => replicasOf(this.db);
    const stats = () => replicas()?.stats() ?? [];
    const registers = [this.#registry];
    const labelNames = ['replica'] as const;
    new Gauge({
      name: 'db_replica_healthy',
      help: '1 if a replica serves reads, else 0.',
      labelNames,
      registers,
      collect() {
        for (const { name, healthy } of stats()) this.set({ replica: name }, Number(healthy));
      },
    });
    new Gauge({
      name: 'db_replica_lag_seconds',
      help: 'Maximum age of the data of a replica; +Inf if unknown.',
      labelNames,
      registers,
      collect() {
        for (const { name, lagMs } of stats()) this.set({ replica: name }, lagMs / 1000);
      },
    });
    new Counter({
      name: 'db_replica_reads_total',
      help: 'Reads by the replica that answered them; primary if no replica could.',
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const { name, reads } of stats()) this.inc({ replica: name }, reads);
        const onPrimary = replicas()?.readsOnPrimary;
        if (onPrimary !== undefined) this.inc({ replica: 'primary' }, onPrimary);
      },
    });
  }

  /**
   * Resets the histogram, so that it measures only the time since the last scrape. Otherwise the values would hardly
   * change.
   */
  #loopMetric(): void {
    const loop = this.#loop;
    new Gauge({
      name: 'nodejs_eventloop_delay_seconds',
      help: 'Delay of the event loop since the last scrape.',
      labelNames: ['quantile'],
      registers: [this.#registry],
      collect() {
        for (const quantile of [50, 99, 100]) {
          const ms = loop.count > 0 ? loop.percentile(quantile) / 1e6 - RESOLUTION_MS : 0;
          this.set({ quantile: String(quantile / 100) }, Math.max(0, ms) / 1000);
        }
        loop.reset();
      },
    });
  }
}
