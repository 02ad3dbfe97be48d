import type { ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';
import { Problem, PROBLEM_MEDIA_TYPE, problemBody, problemHeaders } from '../problems/problem.js';
import { requestIdOf } from './request-id.js';

export interface OverloadOptions {
  /** How many requests may be in flight; 0 is no limit. */
  maxConcurrent: number;
  /** How long a refusal is held back. */
  holdMs: number;
}

/** Beyond these the service refuses at once: each costs memory. */
const MAX_HELD = 10_000;
/** What tells whether the service is well has to answer when it is not. */
const NEVER_REFUSED = /^\/(health\/|metrics(\?|$))/;

const FREE = Symbol('free the place of a request');
type Counted = ServerResponse & { [FREE]?: () => void };

/**
 * Bounds the requests in flight and refuses the others with 503 `overloaded`. A refusal is held
 * back: a client that is refused at once comes back at once, and refusing it again and again costs
 * more than serving it.
 */
export function overloadProtection({ maxConcurrent, holdMs }: OverloadOptions): RequestHandler {
  let inFlight = 0;
  let held = 0;

  function admit(res: Counted): void {
    inFlight++;
    const free = () => {
      if (res[FREE] !== free) return;
      res[FREE] = undefined;
      inFlight--;
    };
    res[FREE] = free;
    res.once('close', free);
  }

  function refuseLater(refuse: () => void, res: ServerResponse): void {
    if (holdMs === 0 || held >= MAX_HELD) return refuse();
    held++;
    const timer = setTimeout(refuse, holdMs);
    res.once('close', () => {
      held--;
      clearTimeout(timer);
    });
  }

  return (req, res, next) => {
    if (maxConcurrent === 0 || NEVER_REFUSED.test(req.url)) return next();
    if (inFlight < maxConcurrent) {
      admit(res);
      return next();
    }
    const problem = new Problem('overloaded', 'The service has as many requests as it can serve.');
    refuseLater(() => {
      const body = JSON.stringify(problemBody(problem, req.path, requestIdOf(req, res)));
      res.writeHead(503, {
        ...problemHeaders(problem),
        'Content-Type': PROBLEM_MEDIA_TYPE,
        'Content-Length': Buffer.byteLength(body),
      });
      res.end(req.method === 'HEAD' ? undefined : body);
    }, res);
  };
}

/** An answer that goes on for hours, such as a stream of events, no longer counts as a request in flight. */
export function leaveInFlight(res: ServerResponse): void {
  (res as Counted)[FREE]?.();
}
