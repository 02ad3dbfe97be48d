import type { Request, Response } from 'express';
import { preferredType } from '../answers/accept.js';
import { type Problem, problemHeaders } from '../problems/problem.js';

export const EVENT_STREAM = 'text/event-stream';

const HEADERS = {
  'Content-Type': EVENT_STREAM,
  // With no-transform, a proxy does not compress the stream, which would delay events.
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no', // nginx then does not buffer the stream
};
/** The delay before a client reconnects. */
const RETRY_MS = 1000;
/** The time that a client gets to read the rest when the stream ends. */
const END_MS = 1000;
/** The interval of comments, short enough for proxies that close silent connections. */
const BEAT_MS = 15_000;
/** The maximum number of unsent bytes for a client that does not read. */
const MAX_UNSENT_BYTES = 1024 * 1024;

/** Matches the path of an entity's change feed. */
const FEED_PATH = /\/changes$/;

export function prefersEvents(req: Request): boolean {
  return preferredType(req, ['application/json', EVENT_STREAM]) === EVENT_STREAM;
}

/**
 * Answers a stream request that fails temporarily (429 or 5xx) with an empty stream that tells the client
 * when to reconnect, because an `EventSource` stops for ever after any status but 200. Returns false if
 * the request is not for a stream or the failure is permanent.
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

/** Encodes one event; JSON contains no line breaks. */
export function eventBytes(id: string, event: string, data: object): Buffer {
  return Buffer.from(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

/**
 * An answer of server-sent events (WHATWG HTML 9.2), with a comment every 15 seconds as heartbeat. A
 * client that reads nothing for twice this time is disconnected.
 */
export class EventStream {
  /** Resolves when the client or the service has closed the stream. */
  readonly closed: Promise<unknown>;
  readonly #res: Response;

  /** Sends the headers. */
  constructor(res: Response, beatMs = BEAT_MS) {
    this.#res = res;
    this.closed = res.destroyed ? Promise.resolve() : new Promise((end) => res.once('close', end));
    res.writeHead(200, HEADERS);
    if (res.req.method === 'HEAD') res.end();
    this.send(`retry: ${RETRY_MS}\n\n`);
    const beat = setInterval(() => this.#beat(), beatMs).unref();
    void this.closed.then(() => clearInterval(beat));
    // If nothing was sent for this time, not even a comment, the client does not read.
    res.setTimeout(2 * beatMs, () => this.cutOff());
  }

  get isOpen(): boolean {
    return !this.#res.writableEnded && !this.#res.destroyed;
  }

  /** True if the unsent bytes exceed the limit for one client. */
  get isBehind(): boolean {
    return this.#res.writableLength > MAX_UNSENT_BYTES;
  }

  /** True if the connection's buffer is full: wait with `drained()`. */
  get needsDrain(): boolean {
    return this.#res.writableNeedDrain;
  }

  /** Sends an event id without an event. A client that is disconnected before the next event resumes from it. */
  sendId(id: string): void {
    this.send(`id: ${id}\n\n`);
  }

  send(text: string | Buffer): void {
    if (this.isOpen) this.#res.write(text);
  }

  /** Resolves when the connection has room for more, or is closed. */
  async drained(): Promise<void> {
    const res = this.#res;
    if (!res.writableNeedDrain) return;
    // A Promise.race with `closed` would leak a reaction for each call while the stream is open.
    await new Promise<void>((resolve) => {
      const go = () => {
        res.off('drain', go).off('close', go);
        resolve();
      };
      res.on('drain', go).on('close', go);
    });
  }

  /** Ends the stream. A client that does not read the rest within a second is disconnected. */
  end(): void {
    this.#res.end();
    const limit = setTimeout(() => this.cutOff(), END_MS).unref();
    void this.closed.then(() => clearTimeout(limit));
  }

  cutOff(): void {
    this.#res.destroy();
  }

  /** Sends a comment if the client has read everything, so that no proxy closes the stream as idle. */
  #beat(): void {
    if (this.#res.writableLength === 0) this.send(':\n\n');
  }
}
