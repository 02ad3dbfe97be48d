import type { ServerResponse } from 'node:http';
import type { Request, RequestHandler, Response } from 'express';
import { Problem, PROBLEM_MEDIA_TYPE, problemBody, problemHeaders } from '../problems/problem.js';
import { answeredToComeBack } from '../streams/event-stream.js';
import { requestIdOf } from './request-id.js';

export interface OverloadOptions {
  /** The maximum number of requests in flight; 0 means no limit. */
  maxConcurrent: number;
  /** The delay of a refusal; 0 sends it immediately. */
  holdMs: number;
  /** The number of 4xx answers per second that are sent without delay. */
  promptRefusals?: number;
}

/** The maximum number of delayed refusals, since each costs memory. Further ones are sent immediately. */
const MAX_HELD = 10_000;
/** These take less than a tenth of a core. */
const PROMPT_REFUSALS = 1000;
/** Health checks and metrics must be answered also under overload. */
const NEVER_REFUSED = /^\/(health\/|metrics(\?|$))/;

type Send = () => void;
const FREE = Symbol('free the place of a request');
const REFUSE = Symbol('send a refusal now or later');
type Counted = ServerResponse & { [FREE]?: () => void; [REFUSE]?: (send: Send) => void };

/**
 * Limits the requests in flight and refuses the others with 503 `overloaded`. A refusal is delayed,
 * because a client that is refused immediately retries immediately, and refusing it again and again
 * costs more than serving it. 4xx answers (`sendRefusal`) are delayed too when there are many.
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
    // A complete answer no longer counts; otherwise clients that do not read would block others.
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
  const problem = new Problem('overloaded', 'The service is handling as many requests as it can.');
  if (answeredToComeBack(req, res, problem)) return;
  const body = JSON.stringify(problemBody(problem, req.path, requestIdOf(req, res)));
  res.writeHead(503, {
    ...problemHeaders(problem),
    'Content-Type': PROBLEM_MEDIA_TYPE,
    'Content-Length': Buffer.byteLength(body),
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

/** Sends an answer that refuses a request: immediately, or with a delay while there are many refusals. */
export function sendRefusal(res: ServerResponse, send: Send): void {
  const counted = res as Counted;
  if (counted[REFUSE]) counted[REFUSE](send);
  else send();
}

/** Stops counting a request as in flight. For answers that last for hours, such as a stream of events. */
export function leaveInFlight(res: ServerResponse): void {
  (res as Counted)[FREE]?.();
}

/** Returns a function that delays answers. The answer to a client that disconnects is dropped. */
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
 * Runs only a small part of the due work in each turn of the event loop. Clients that were refused
 * together retry together, and answering hundreds of them at once would delay other requests.
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

/** Returns a function that returns true for its first `limit` calls in each second. */
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
