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
    id =
      givenRequestId({ requestId: req.headers['x-request-id'] }) ?? traceIdOf(req) ?? randomUUID();
    req[ID] = id;
    if (!res.headersSent) res.setHeader('X-Request-Id', id);
  }
  return id;
}

/** The id that the sender of a request gave, if it is sane, else the trace id of its `traceparent`. */
export function givenRequestId(given: {
  requestId?: unknown;
  traceparent?: unknown;
}): string | undefined {
  const { requestId, traceparent } = given;
  if (typeof requestId === 'string' && SANE.test(requestId)) return requestId;
  return typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent)?.[1] : undefined;
}

const TRACE_ID = Symbol('trace id');

/** The trace that a request belongs to: of its span where one is made, else of its `traceparent`. */
export function traceIdOf(req: IncomingMessage & { [TRACE_ID]?: string }): string | undefined {
  if (req[TRACE_ID] !== undefined) return req[TRACE_ID];
  return givenRequestId({ traceparent: req.headers.traceparent });
}

/** Notes the trace of the span that was made for a request. */
export function noteTraceId(req: IncomingMessage & { [TRACE_ID]?: string }, id: string): void {
  req[TRACE_ID] = id;
}

/** Gives every answer its X-Request-Id, those of unknown routes and unreadable bodies included. */
export function requestId(req: Request, res: Response, next: NextFunction): void {
  requestIdOf(req, res);
  next();
}
