import http from 'node:http';
import https from 'node:https';
import type { NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import express, { type Express, type Response } from 'express';
import { jsonOf } from '../answers/json-text.js';
import { answerBrokenRequests } from './broken-requests.js';
import { type Connection, connectionsOf } from './connections.js';
import { drainable } from './drain.js';
import { keepConnections } from './keep-alive.js';
import { handlePipelinedInTurn } from './pipelining.js';
import { UnreadAnswers } from './unread-answers.js';

export interface LeanExpressAdapterOptions {
  /** For so many milliseconds of a shutdown new connections are still served; default 0. */
  graceMs?: number;
  /** How long an idle connection is kept, in milliseconds; default 65 s, longer than gateways keep theirs. */
  keepAliveTimeoutMs?: number;
  /** A client that takes nothing of its answer for so many milliseconds is cut off; default 30 s. */
  sendTimeoutMs?: number;
  /** While more bytes are unsent for all clients together, the slowest are cut off; default 64 MiB. */
  maxUnsentBytes?: number;
}

/** For clients that take nothing of their answers while the service shuts down. */
const SHUTDOWN_SEND_TIMEOUT_MS = 2000;

/**
 * Nest's ExpressAdapter, made for the open: requests that are no HTTP are answered as problems,
 * pipelined ones are handled in turn, idle connections are kept longer than gateways keep theirs,
 * clients that do not read their answers are cut off, and a shutdown fails no request. And with Express's router, middleware and API as they are, and two costs of
 * each request gone (docs/performance.md, "Express"):
 *
 * 1. Express gives each request and each response its methods by Object.setPrototypeOf, which
 *    makes every later access to them slow, on Node 20 four fifths of the time Express takes. Here
 *    Node's server makes them of classes that have those methods already, and the prototypes of
 *    the classes are `app.request` and `app.response`. Express goes on to set them and finds them
 *    set. A mounted application still sets its own and puts these back, and a request that another
 *    server has made gets them from Express as ever.
 * 2. `res.json` and `res.send` look up eight settings and headers for a body that is plain JSON.
 *
 * Give it the Express application before anything is mounted on that.
 */
export class LeanExpressAdapter extends ExpressAdapter {
  readonly #classes: ReturnType<typeof classesOf>;
  readonly #options: LeanExpressAdapterOptions;
  #drain?: ReturnType<typeof drainable>;
  #unread?: UnreadAnswers;

  constructor(app: Express = express(), options: LeanExpressAdapterOptions = {}) {
    super(app);
    this.#classes = classesOf(app);
    this.#options = options;
  }

  override initHttpServer(options: NestApplicationOptions): void {
    super.initHttpServer(options);
    const app = this.getInstance<Express>();
    const { httpsOptions, forceCloseConnections } = options;
    this.httpServer = httpsOptions
      ? https.createServer({ ...httpsOptions, ...this.#classes }, app)
      : http.createServer(this.#classes, app);
    const connections = this.#guard(this.httpServer);
    if (forceCloseConnections) (this as unknown as Tracking).trackOpenConnections();
    else this.#drain = drainable(this.httpServer, connections);
  }

  #guard(server: http.Server): Set<Connection> {
    const {
      keepAliveTimeoutMs = 65_000,
      sendTimeoutMs = 30_000,
      maxUnsentBytes = 64 * 1024 * 1024,
    } = this.#options;
    const connections = connectionsOf(server);
    keepConnections(server, keepAliveTimeoutMs);
    answerBrokenRequests(server);
    handlePipelinedInTurn(server);
    const limits = { silenceMs: sendTimeoutMs, maxBytes: maxUnsentBytes };
    this.#unread = new UnreadAnswers(connections, limits);
    return connections;
  }

  /** Finishes every request that has come, and refuses new connections (drain.ts). */
  override async close(): Promise<void> {
    this.#unread?.hurry(SHUTDOWN_SEND_TIMEOUT_MS);
    const { graceMs = 0 } = this.#options;
    if (this.httpServer?.listening && this.#drain) await this.#drain({ graceMs });
    else await super.close();
    this.#unread?.stop();
  }

  /** The same bytes as Express's for a JSON object of which neither settings, headers nor middleware want more. */
  override reply(res: Response, body: unknown, statusCode?: number): unknown {
    if (statusCode !== undefined || !isPlainObject(body) || !isPlainAnswer(res)) {
      return super.reply(res, body, statusCode);
    }
    const text = jsonOf(body);
    if (text === undefined) return super.reply(res, body); // by its toJSON
    res.setHeader('Content-Type', 'application/json; charset=utf-8');
    // A long text as bytes: Node would go through it twice, for its length and to write it.
    const content = text.length > LONG ? Buffer.from(text) : text;
    res.setHeader('Content-Length', Buffer.byteLength(content));
    return res.req.method === 'HEAD' ? res.end() : res.end(content, 'utf8');
  }
}

const LONG = 4096;

/** What Nest keeps to itself. */
interface Tracking {
  trackOpenConnections(): void;
}

/** What Node's server makes requests and responses of, so that Express has nothing left to set. */
function classesOf(app: Express) {
  class IncomingMessage extends http.IncomingMessage {}
  class ServerResponse extends http.ServerResponse {}
  app.request = become(IncomingMessage.prototype, app.request);
  app.response = become(ServerResponse.prototype, app.response);
  return { IncomingMessage, ServerResponse };
}

/** Makes `prototype` what `original` is: the same properties, behind it the same prototype. */
function become<T extends object>(prototype: object, original: T): T {
  Object.setPrototypeOf(prototype, Object.getPrototypeOf(original) as object);
  return Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(original)) as T;
}

function isPlainObject(body: unknown): body is object {
  return (
    typeof body === 'object' && body !== null && Object.getPrototypeOf(body) === Object.prototype
  );
}

/** Whether `res.json` would add nothing to the text and its length. */
function isPlainAnswer(res: Response): boolean {
  const { statusCode, req, app } = res;
  const settings = app.settings as Record<string, unknown>;
  return (
    res.json === express.response.json &&
    res.send === express.response.send &&
    statusCode >= 200 &&
    statusCode !== 204 &&
    statusCode !== 205 &&
    statusCode !== 304 &&
    !settings['etag fn'] &&
    !settings['json replacer'] &&
    !settings['json spaces'] &&
    !settings['json escape'] &&
    !req.fresh &&
    !res.hasHeader('Content-Type') &&
    !res.hasHeader('Transfer-Encoding')
  );
}
