import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { NestApplicationOptions } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import express, { type Express, type Response } from 'express';
import { jsonOf } from '../answers/json-text.js';
import { isPlainAnswer, messageClasses, type MessageClasses } from '../internals/express.js';
import { cutConnectionsAtClose } from '../internals/nest.js';
import { answerBrokenRequests } from './broken-requests.js';
import { connectionsOf } from './connections.js';
import { drainable } from './drain.js';
import { keepConnections } from './keep-alive.js';
import { handlePipelinedInTurn } from './pipelining.js';
import { UnreadAnswers } from './unread-answers.js';

export interface LeanExpressAdapterOptions {
  /** The time during a shutdown in which new connections are still accepted; default 0. */
  graceMs?: number;
  /** The time that an idle connection is kept open; default 65 s, longer than the timeout of gateways. */
  keepAliveTimeoutMs?: number;
  /** A client that reads nothing of its answer for this time is disconnected; default 30 s. */
  sendTimeoutMs?: number;
  /** While more bytes than this are unsent in total, the slowest clients are disconnected; default 64 MiB. */
  maxUnsentBytes?: number;
}

/** The send timeout during a shutdown. */
const SHUTDOWN_SEND_TIMEOUT_MS = 2000;

/**
 * Nest's ExpressAdapter, made robust for public networks: broken requests are answered as problems,
 * pipelined requests are handled one after the other, idle connections are kept longer than by gateways,
 * clients that do not read their answers are disconnected, and a shutdown fails no request.
 *
 * Express's router, middleware and API are unchanged, but two costs of each request are removed
 * (docs/performance.md, "Express"):
 *
 * 1. Express gives each request and response its methods by Object.setPrototypeOf, which makes every
 *    later access to them slow: on Node 20 this is four fifths of Express's time. Here Node's server
 *    creates them from classes whose prototypes are `app.request` and `app.response`, so that
 *    Express sets a prototype that is set already. A mounted application still sets its own and
 *    restores these, and a request that another server has created gets them from Express as usual.
 * 2. `res.json` and `res.send` look up eight settings and headers even for a body of plain JSON.
 *
 * Pass the Express application before anything is mounted on it.
 */
export class LeanExpressAdapter extends ExpressAdapter {
  readonly #classes: MessageClasses;
  readonly #options: LeanExpressAdapterOptions;
  #drain?: ReturnType<typeof drainable>;
  #unread?: UnreadAnswers;

  constructor(app: Express = express(), options: LeanExpressAdapterOptions = {}) {
    super(app);
    this.#classes = messageClasses(app);
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
    if (forceCloseConnections) cutConnectionsAtClose(this);
    else this.#drain = drainable(this.httpServer, connections);
  }

  #guard(server: http.Server): Set<Socket> {
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

  /** Finishes every request that has arrived, and refuses new connections (drain.ts). */
  override async close(): Promise<void> {
    this.#unread?.hurry(SHUTDOWN_SEND_TIMEOUT_MS);
    const { graceMs = 0 } = this.#options;
    if (this.httpServer?.listening && this.#drain) await this.#drain({ graceMs });
    else await super.close();
    this.#unread?.stop();
  }

  /** Sends the same bytes as Express. It takes a short cut for a JSON object that settings, headers and middleware do not affect. */
  override reply(res: Response, body: unknown, statusCode?: number): unknown {
    if (statusCode !== undefined || !isPlainObject(body) || !isPlainAnswer(res, express.response)) {
      return super.reply(res, body, statusCode);
    }
    const text = jsonOf(body);
    if (text === undefined) return super.reply(res, body); // its toJSON returned undefined
    res.setHeader('Content-Type', 'application/json; charset=utf-8');
    // A long text is encoded once here; Node would encode it twice, for its length and to write it.
    const content = text.length > LONG ? Buffer.from(text) : text;
    res.setHeader('Content-Length', Buffer.byteLength(content));
    return res.req.method === 'HEAD' ? res.end() : res.end(content, 'utf8');
  }
}

const LONG = 4096;

function isPlainObject(body: unknown): body is object {
  return (
    typeof body === 'object' && body !== null && Object.getPrototypeOf(body) === Object.prototype
  );
}
