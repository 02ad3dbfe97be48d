import type { Response } from 'express';
import { leaveInFlight } from '../server/overload.js';

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

/** One event as it is sent; JSON has no line breaks. */
export function eventBytes(id: string, event: string, data: object): Buffer {
  return Buffer.from(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

/**
 * An answer of server-sent events (WHATWG HTML, 9.2), with a comment every 15 seconds. A client that
 * takes nothing for twice as long is cut off.
 */
export class EventStream {
  /** Resolves when the answer has ended, whoever ended it. */
  readonly closed: Promise<unknown>;
  readonly #res: Response;

  /** Begins the answer. A client that is cut off before the first event comes back to `id`. */
  constructor(res: Response, id?: string, beatMs = BEAT_MS) {
    this.#res = res;
    this.closed = res.destroyed ? Promise.resolve() : new Promise((end) => res.once('close', end));
    res.writeHead(200, HEADERS);
    leaveInFlight(res);
    if (res.req.method === 'HEAD') res.end();
    this.send(`retry: ${RETRY_MS}\n${id === undefined ? '' : `id: ${id}\n`}\n`);
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

  /** Nothing for who has something to read; and what he does not take would not be noticed. */
  #beat(): void {
    if (this.#res.writableLength === 0) this.send(':\n\n');
  }
}
