import type { ServerResponse } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { Problem, PROBLEM_MEDIA_TYPE, problemBody, problemHeaders } from '../problems/problem.js';
import { answeredToComeBack } from '../streams/event-stream.js';
import { requestIdOf } from './request-id.js';

export interface OverloadOptions {
  /** How many requests may be in flight; 0 is no limit. */
  maxConcurrent: number;
  /** How long a refusal is held back; 0 sends it at once. */
  holdMs: number;
  /** So many 4xx answers a second are sent at once. */
  promptRefusals?: number;
}

/** Beyond these the service refuses at once: each costs memory. */
const MAX_HELD = 10_000;
/** They take less than a tenth of a core. */
const PROMPT_REFUSALS = 1000;
/** What tells whether the service is well has to answer when it is not. */
const NEVER_REFUSED = /^\/(health\/|metrics(\?|$))/;

type Send = () => void;
const FREE = Symbol('free the place of a request');
const REFUSE = Symbol('send a refusal now or later');
type Counted = ServerResponse & { [FREE]?: () => void; [REFUSE]?: (send: Send) => void };

/**
 * Bounds the requests in flight and refuses the others with 503 `overloaded`. A refusal is held
 * back: a client that is refused at once comes back at once, and refusing it again and again costs
 * more than serving it. The same holds for 4xx answers (`sendRefusal`) once there are many.
 */
export function overloadProtection({
  maxConcurrent,
  holdMs,
  promptRefusals = PROMPT_REFUSALS,
}: OverloadOptions): RequestHandler {
  let inFlight = 0;
  const hold = createHold(holdMs);
  const isPrompt = createRateCounter(promptRefusals);

  function admit(res: Counted): void {
    inFlight++;
    const free = () => {
      if (res[FREE] !== free) return;
      res[FREE] = undefined;
      inFlight--;
    };
    res[FREE] = free;
    // An answer that is ready no longer counts, or clients that do not read would keep others out.
    res.once('prefinish', free).once('close', free);
  }

  function refuse(this: Counted, send: Send): void {
    if (isPrompt()) return send();
    leaveInFlight(this);
    hold(this, send);
  }

  return (req, res: Response & Counted, next) => {
    res[REFUSE] = refuse;
    if (maxConcurrent === 0 || NEVER_REFUSED.test(req.url)) return next();
    if (inFlight < maxConcurrent) {
      admit(res);
      return next();
    }
    hold(res, () => sendOverloaded(req, res));
  };
}

function sendOverloaded(req: Request, res: Response): void {
  const problem = new Problem('overloaded', 'The service has as many requests as it can serve.');
  if (answeredToComeBack(req, res, problem)) return;
  const body = JSON.stringify(problemBody(problem, req.path, requestIdOf(req, res)));
  res.writeHead(503, {
    ...problemHeaders(problem),
    'Content-Type': PROBLEM_MEDIA_TYPE,
    'Content-Length': Buffer.byteLength(body),
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

/** Sends an answer that refuses a request: at once, or later where the service refuses very many. */
export function sendRefusal(res: ServerResponse, send: Send): void {
  const counted = res as Counted;
  if (counted[REFUSE]) counted[REFUSE](send);
  else send();
}

/** An answer that goes on for hours, such as a stream of events, no longer counts as a request in flight. */
export function leaveInFlight(res: ServerResponse): void {
  (res as Counted)[FREE]?.();
}

/** Delays answers. Those of clients that leave are dropped. */
function createHold(ms: number): (res: ServerResponse, send: Send) => void {
  let held = 0;
  const inTurns = createRelease();
  return (res, send) => {
    if (ms === 0 || held >= MAX_HELD) return send();
    held++;
    const timer = setTimeout(inTurns, ms, () => res.destroyed || send());
    res.once('close', () => {
      held--;
      clearTimeout(timer);
    });
  };
}

/**
 * Runs a small part of what is due in each round of the event loop. Clients that were refused together
 * come back together: answering hundreds of them at once would delay the requests that are served.
 */
function createRelease(): (work: () => void) => void {
  const due: (() => void)[] = [];
  function runSome(): void {
    for (const work of due.splice(0, Math.ceil(due.length / 64))) work();
    if (due.length > 0) setImmediate(runSome);
  }
  return (work) => {
    if (due.push(work) === 1) setImmediate(runSome);
  };
}

/** True for the first `limit` calls of a second. */
function createRateCounter(limit: number): () => boolean {
  let endsAt = 0;
  let count = 0;
  return () => {
    const now = performance.now();
    if (now >= endsAt) {
      endsAt = now + 1000;
      count = 0;
    }
    return ++count <= limit;
  };
}
