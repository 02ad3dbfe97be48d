import { setTimeout as sleep } from 'node:timers/promises';
import { Logger, type OnApplicationShutdown, type OnModuleDestroy } from '@nestjs/common';
import type { Response } from 'express';
import type { Db } from '../db/connection.js';
import { asDataError, errorCodeOf } from '../db/errors.js';
import type { FeedPosition } from '../db/entity/change-feed.js';
import { createChangesFactory } from '../db/entity/changes.factory.js';
import { leaveInFlight } from '../http/server/overload.js';
import { CatchUp } from './catch-up.js';
import { ChangeStream } from './change-stream.js';
import { NOW } from './dto/change.dto.js';
import { LiveChanges } from './live-changes.js';

const RETRY_MS = 1000;
/** The answer begins after this time at the latest, even if the first read is not done. */
const BEGIN_MS = 1000;

/**
 * The open streams of the change feed. Each stream first sends the committed changes page by page, as fast
 * as its client reads. Then it joins the live changes, which are read once for all streams. If its client
 * is too slow for that, it leaves them and catches up page by page again.
 */
export class ChangeStreams implements OnModuleDestroy, OnApplicationShutdown {
  readonly #logger = new Logger('Changes');
  readonly #catchUp: CatchUp;
  readonly #live: LiveChanges;
  readonly #open = new Set<ChangeStream>();
  #isStopped = false;
  #isAway = false;

  constructor(
    db: Db,
    private readonly entity: string,
  ) {
    this.#catchUp = new CatchUp(createChangesFactory(db, entity));
    this.#live = new LiveChanges(db, entity);
  }

  /**
   * Answers with the changes after `after`, and continues with new ones until the client disconnects or the
   * streams are stopped. Throws `cursor_expired` if the first read finds this before the answer begins. Other
   * failures do not end the stream, because an `EventSource` does not reconnect after a status other than
   * 200: the read is retried a second later.
   */
  async follow(res: Response, after?: FeedPosition | typeof NOW): Promise<void> {
    leaveInFlight(res);
    const stream = new ChangeStream(res, this.entity);
    if (after !== NOW) stream.place = after;
    this.#open.add(stream);
    const beginning = setTimeout(() => this.#begin(stream), BEGIN_MS);
    void stream.closed.then(() => {
      this.#open.delete(stream);
      this.#live.leave(stream);
    });
    try {
      if (after === NOW) await this.#startAtEnd(stream);
      await this.#sendAll(stream);
    } finally {
      clearTimeout(beginning);
    }
  }

  async #sendAll(stream: ChangeStream): Promise<void> {
    while (stream.isOpen) {
      const isCurrent = await this.#read(stream, () => this.#sendPage(stream));
      await stream.drained();
      if (isCurrent && stream.isOpen && this.#live.join(stream)) await stream.leftBehind();
    }
  }

  async #startAtEnd(stream: ChangeStream): Promise<void> {
    const askedAt = performance.now();
    while (stream.isOpen && !stream.place) {
      await this.#read(stream, async () => {
        stream.place = await this.#catchUp.endSince(askedAt);
        return true;
      });
    }
  }

  async #sendPage(stream: ChangeStream): Promise<boolean> {
    const page = await this.#catchUp.pageAfter(stream.place);
    if (page.batches.length === 0) stream.place = page.next;
    this.#begin(stream);
    return await stream.takePage(page);
  }

  /** Runs the work when it is the stream's turn and returns its result. If it fails, waits a second and returns false. */
  async #read(stream: ChangeStream, work: () => Promise<boolean>): Promise<boolean> {
    try {
      const result = await this.#catchUp.turn(async () => stream.isOpen && (await work()));
      this.#isAway = false;
      return result;
    } catch (error) {
      await this.#failed(stream, error);
      return false;
    }
  }

  async #failed(stream: ChangeStream, error: unknown): Promise<void> {
    const code = asDataError(error)?.code;
    if (code === 'cursor_expired' && !stream.hasBegun) throw error;
    if (code === 'cursor_expired') return stream.end(); // its client gets the error when it reconnects
    this.#begin(stream);
    if (!this.#isAway) {
      const cause = errorCodeOf(error);
      this.#logger.warn({
        message: 'the streams wait because the changes cannot be read',
        code,
        cause,
      });
    }
    this.#isAway = true;
    await Promise.race([sleep(RETRY_MS), stream.closed]);
  }

  #begin(stream: ChangeStream): void {
    stream.begin();
    if (this.#isStopped) stream.end();
  }

  /** Ends all streams, and new ones immediately. Their clients reconnect to another instance. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const stream of this.#open) if (stream.hasBegun) stream.end();
    await Promise.all([...this.#open].map(({ closed }) => closed));
  }

  async onModuleDestroy(): Promise<void> {
    await this.stop();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#live.ended();
  }
}
