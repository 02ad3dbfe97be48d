import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { callerOf } from '../answers/caller.js';
import { requestIdOf, traceIdOf } from './request-id.js';

/** A request that has been answered. It contains no text that the client chose, except checked ids. */
export interface Answered {
  method: string;
  /** The pattern of the route, such as `/api/skills/:id`; `none` if no route matched. */
  route: string;
  /** `aborted` if the client disconnected before the answer was complete. */
  status: number | 'aborted';
  ms: number;
  /** The caller; empty if it is not authenticated. */
  actor: string;
  requestId: string;
  traceId?: string;
}

export type OnAnswered = (answered: Answered) => void;

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Calls each observer after each request has been answered, with one listener per request for all observers. */
export function observeAnswers(observers: readonly OnAnswered[]): RequestHandler {
  return (req: Request, res: Response, next: NextFunction) => {
    const startedAt = performance.now();
    res.once('close', () => {
      const traceId = traceIdOf(req);
      const answered: Answered = {
        method: METHODS.has(req.method) ? req.method : 'other',
        route: routeOf(req),
        status: res.writableFinished ? res.statusCode : 'aborted',
        ms: performance.now() - startedAt,
        actor: callerOf(req),
        requestId: requestIdOf(req, res),
        ...(traceId !== undefined && { traceId }),
      };
      for (const observe of observers) observe(answered);
    });
    next();
  };
}

/** Returns the pattern of the request's route; `none` if no route matched. */
export function routeOf(req: Request): string {
  return (req.route as { path?: string } | undefined)?.path ?? 'none';
}
