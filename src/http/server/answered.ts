import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { callerOf } from '../contract/author.js';
import { requestIdOf, traceIdOf } from './request-id.js';

/** A request that has been answered, in words that hold nothing of what the client typed. */
export interface Answered {
  method: string;
  /** The pattern of the route, such as `/api/projects/:id`; `none` where no route matched. */
  route: string;
  /** `aborted` where the client left before it had the answer. */
  status: number | 'aborted';
  ms: number;
  /** Who sent it; empty where nobody was recognised. */
  actor: string;
  requestId: string;
  traceId?: string;
}

export type OnAnswered = (answered: Answered) => void;

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Tells each observer of every request when it has been answered: one listener a request, however many observe. */
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

/** The pattern of the route that a request was for; `none` where none matched. */
export function routeOf(req: Request): string {
  return (req.route as { path?: string } | undefined)?.path ?? 'none';
}
