import { setTimeout as sleep } from 'node:timers/promises';
import type { OnApplicationShutdown, OnModuleDestroy } from '@nestjs/common';
import type { Response } from 'express';
import type { Db } from '../db/connection.js';
import { asDataError } from '../db/errors.js';
import type { FeedPage, FeedPosition } from '../db/entity/change-feed.js';
import { type ChangesFactory, createChangesFactory } from '../db/entity/changes.factory.js';
import { ChangeStream } from './change-stream.js';
import { LiveChanges } from './live-changes.js';

const PAGE = 100;
const RETRY_MS = 1000;

/**
 * The open streams of the change feed. Each reads what has been committed in pages of its own, as
 * fast as its client takes them, and then joins the one reading of what is new, until it is left
 * behind by that and goes on by itself.
 */
export class ChangeStreams implements OnModuleDestroy, OnApplicationShutdown {
  readonly #changes: ChangesFactory;
  readonly #live: LiveChanges;
  readonly #open = new Set<ChangeStream>();
  #isStopped = false;

  constructor(
    db: Db,
    private readonly entity: string,
  ) {
    this.#changes = createChangesFactory(db, entity);
    this.#live = new LiveChanges(db, entity);
  }

  /**
   * Answers with the changes behind `after`, and goes on with those to come until the client leaves
   * or the streams are stopped. Throws what `getFeedPage` throws, before anything is answered.
   */
  async follow(res: Response, after?: FeedPosition): Promise<void> {
    const first = await this.#changes.getFeedPage({ after, limit: PAGE });
    const stream = new ChangeStream(res, this.entity, first, after);
    this.#open.add(stream);
    void stream.closed.then(() => {
      this.#open.delete(stream);
      this.#live.leave(stream);
    });
    if (this.#isStopped) stream.end();
    for (let page: FeedPage | undefined = first; page; page = await this.#nextPage(stream)) {
      await stream.takePage(page);
      if (!page.hasMore && stream.isOpen && this.#live.join(stream)) await stream.leftBehind();
    }
  }

  /** Waits for a database that is away; none for a stream that has ended. */
  async #nextPage(stream: ChangeStream): Promise<FeedPage | undefined> {
    while (stream.isOpen) {
      try {
        return await this.#changes.getFeedPage({ after: stream.seen, limit: PAGE });
      } catch (error) {
        const code = asDataError(error)?.code;
        if (!code) throw error;
        if (code === 'cursor_expired') stream.end(); // it is told when it comes back
        await Promise.race([sleep(RETRY_MS), stream.closed]);
      }
    }
    return undefined;
  }

  /** Ends all streams, and those that come from now on at once: their clients come back elsewhere. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const stream of this.#open) stream.end();
    await Promise.all([...this.#open].map(({ closed }) => closed));
  }

  async onModuleDestroy(): Promise<void> {
    await this.stop();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#live.ended();
  }
}
