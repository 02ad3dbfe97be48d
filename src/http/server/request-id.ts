import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { NextFunction, Request, Response } from 'express';

const SANE = /^[\w.:@=+/-]{1,128}$/;
/** W3C Trace Context, version 00: version, trace id, parent id, flags. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

const ID = Symbol('request id');

/**
 * The request's id, also set as X-Request-Id on its answer: the caller's own if it is sane, else
 * the trace id of its `traceparent`, else a new UUID. The same however often it is asked for.
 */
export function requestIdOf(req: IncomingMessage & { [ID]?: string }, res: ServerResponse): string {
  let id = req[ID];
  if (id === undefined) {
    const given = req.headers['x-request-id'];
    id = typeof given === 'string' && SANE.test(given) ? given : (traceIdOf(req) ?? randomUUID());
    req[ID] = id;
    if (!res.headersSent) res.setHeader('X-Request-Id', id);
  }
  return id;
}

export function traceIdOf(req: IncomingMessage): string | undefined {
  const { traceparent } = req.headers;
  return typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent)?.[1] : undefined;
}

/** Gives every answer its X-Request-Id, those of unknown routes and unreadable bodies included. */
export function requestId(req: Request, res: Response, next: NextFunction): void {
  requestIdOf(req, res);
  next();
}
