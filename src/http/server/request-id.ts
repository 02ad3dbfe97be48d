import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { NextFunction, Request, Response } from 'express';

const WELL_FORMED = /^[\w.:@=+/-]{1,128}$/;
/** W3C Trace Context, version 00: version, trace id, parent id, flags. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

const ID = Symbol('request id');

/**
 * Returns the request's id and sets it as X-Request-Id on the response. It is the client's own id if
 * that is well-formed, else the trace id of its `traceparent`, else a new UUID. Repeated calls return
 * the same id.
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

/** Returns the id that the client sent, if it is well-formed, else the trace id of its `traceparent`. */
export function givenRequestId(given: {
  requestId?: unknown;
  traceparent?: unknown;
}): string | undefined {
  const { requestId, traceparent } = given;
  if (typeof requestId === 'string' && WELL_FORMED.test(requestId)) return requestId;
  return typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent)?.[1] : undefined;
}

const TRACE_ID = Symbol('trace id');

/** Returns the trace id of a request: that of its span if it has one, else that of its `traceparent`. */
export function traceIdOf(req: IncomingMessage & { [TRACE_ID]?: string }): string | undefined {
  if (req[TRACE_ID] !== undefined) return req[TRACE_ID];
  return givenRequestId({ traceparent: req.headers.traceparent });
}

/** Stores the trace id of the span that was created for a request. */
export function noteTraceId(req: IncomingMessage & { [TRACE_ID]?: string }, id: string): void {
  req[TRACE_ID] = id;
}

/** Sets X-Request-Id on every response, also for unknown routes and unreadable bodies. */
export function requestId(req: Request, res: Response, next: NextFunction): void {
  requestIdOf(req, res);
  next();
}
