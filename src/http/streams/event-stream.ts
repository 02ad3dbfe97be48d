import type { Request, Response } from 'express';
import { preferredType } from '../contract/accept.js';
import { type Problem, problemHeaders } from '../problems/problem.js';

export const EVENT_STREAM = 'text/event-stream';

const HEADERS = {
  'Content-Type': EVENT_STREAM,
  // Nor may what lies between compress it, which would keep events back until there are enough.
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no', // nginx
};
/** How long a client waits before it comes back. */
const RETRY_MS = 1000;
/** For the client to take what has been sent. */
const END_MS = 1000;
/** Often enough for proxies that close what is silent. */
const BEAT_MS = 15_000;
/** The most that is kept for a client that does not read. */
const MAX_UNSENT_BYTES = 1024 * 1024;

/** Where entities have their feeds. */
const FEED_PATH = /\/changes$/;

export function prefersEvents(req: Request): boolean {
  return preferredType(req, ['application/json', EVENT_STREAM]) === EVENT_STREAM;
}

/**
 * Answers a request for a stream that fails for now (429 or 5xx) with a stream that ends at once, and
 * that says when to come back: an `EventSource` gives up for good after any status but 200. False if
 * the request is another one, or if it will fail again.
 */
export function answeredToComeBack(req: Request, res: Response, problem: Problem): boolean {
  const isForNow = problem.status === 429 || problem.status >= 500;
  if (!isForNow || req.method !== 'GET' || !FEED_PATH.test(req.path)) return false;
  if (!prefersEvents(req)) return false;
  const headers = { ...problemHeaders(problem), ...HEADERS };
  const seconds = Number(
    res.getHeader('Retry-After') ?? problemHeaders(problem)['Retry-After'] ?? 1,
  );
  const text = `: ${problem.code}: ${problem.message}\nretry: ${seconds * 1000}\n\n`;
  res.vary('Accept').writeHead(200, headers).end(text);
  return true;
}

/** One event as it is sent; JSON has no line breaks. */
export function eventBytes(id: string, event: string, data: object): Buffer {
  return Buffer.from(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

/**
 * An answer of server-sent events (WHATWG HTML, 9.2), with a comment every 15 seconds. A client that
 * takes nothing for twice as long is cut off.
 */
export class EventStream {
  /** Resolves when the client or the service has ended the answer. */
  readonly closed: Promise<unknown>;
  readonly #res: Response;

  /** Begins the answer. */
  constructor(res: Response, beatMs = BEAT_MS) {
    this.#res = res;
    this.closed = res.destroyed ? Promise.resolve() : new Promise((end) => res.once('close', end));
    res.writeHead(200, HEADERS);
    if (res.req.method === 'HEAD') res.end();
    this.send(`retry: ${RETRY_MS}\n\n`);
    const beat = setInterval(() => this.#beat(), beatMs).unref();
    void this.closed.then(() => clearInterval(beat));
    // Nothing has been sent for so long, not even a comment: the client takes nothing.
    res.setTimeout(2 * beatMs, () => this.cutOff());
  }

  get isOpen(): boolean {
    return !this.#res.writableEnded && !this.#res.destroyed;
  }

  /** Whether more is unsent than is kept for anyone. */
  get isBehind(): boolean {
    return this.#res.writableLength > MAX_UNSENT_BYTES;
  }

  /** Whether the client has not taken all that it was sent. */
  get needsDrain(): boolean {
    return this.#res.writableNeedDrain;
  }

  /** Names the place to which a client comes back that is cut off before the next event. */
  sendId(id: string): void {
    this.send(`id: ${id}\n\n`);
  }

  send(text: string | Buffer): void {
    if (this.isOpen) this.#res.write(text);
  }

  /** Resolves when the client has room for more, or is gone. */
  async drained(): Promise<void> {
    const res = this.#res;
    if (!res.writableNeedDrain) return;
    // No race with `closed`, which would keep something of each for as long as the stream is open.
    await new Promise<void>((resolve) => {
      const go = () => {
        res.off('drain', go).off('close', go);
        resolve();
      };
      res.on('drain', go).on('close', go);
    });
  }

  /** Ends the answer; a client that does not take the rest of it within a second is cut off. */
  end(): void {
    this.#res.end();
    const limit = setTimeout(() => this.cutOff(), END_MS).unref();
    void this.closed.then(() => clearTimeout(limit));
  }

  cutOff(): void {
    this.#res.destroy();
  }

  /** A comment for a client that has read everything, so that no proxy takes the stream for dead. */
  #beat(): void {
    if (this.#res.writableLength === 0) this.send(':\n\n');
  }
}
