import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProjectsClientError } from './projects-client-error.js';
import type { Operation, Reply, RequestMeta, Requests, Transport } from './transport.js';

export interface CallOptions {
  /** For this call, in place of the client's. */
  timeoutMs?: number;
  /** Ends the call early. It rejects with the reason of the signal. */
  signal?: AbortSignal;
  /** Stands in the log and the history of the service as `X-Request-Id`. */
  requestId?: string;
  /** W3C Trace Context. */
  traceparent?: string;
  /**
   * For reads: the answer contains the write that gave this token, and all before it. The client sends the
   * token of its own writes by itself; this one is for a write of another client.
   */
  consistencyToken?: string;
}

export interface CallSettings {
  /** The longest time of a call with all its retries, in milliseconds; default 10,000. */
  timeoutMs?: number;
  /** How often a call that failed is sent again where that is safe; default 2. */
  retries?: number;
  /** The pause before it is sent again for the first time, doubled each time; default 100. */
  retryPauseMs?: number;
}

/** An answer with one of these codes says that nothing was done. */
const NOTHING_DONE = new Set([
  'unreachable',
  'conflict',
  'pool_exhausted',
  'overloaded',
  'too_many_requests',
  'authentication_unavailable',
  'not_ready',
]);
/** Whether something was done is not known. */
const UNKNOWN = new Set([
  'database_unavailable',
  'connection_lost',
  'bad_gateway',
  'service_unavailable',
  'gateway_timeout',
]);
const GATEWAY = new Set([502, 503, 504]);
/** Operations that write nothing. */
export const READS: ReadonlySet<Operation> = new Set<Operation>([
  'list',
  'get',
  'history',
  'changes',
  'technologies',
]);
/** These take an Idempotency-Key, and always get one: sent again they are done once. */
const KEYED = new Set<Operation>(['create', 'batch']);
const FIRST_PAUSE_MS = 100;

/**
 * Sends a request until it is answered, the time is over, or sending it again would not be safe.
 * Reads and what has an Idempotency-Key are sent again after any passing failure; another write only
 * when it is known that nothing was done.
 */
export async function call<O extends Operation>(
  transport: Transport,
  settings: CallSettings,
  operation: O,
  request: Requests[O],
  options: CallOptions & RequestMeta,
): Promise<Reply> {
  const { timeoutMs = settings.timeoutMs ?? 10_000, signal: own, ...given } = options;
  const meta = KEYED.has(operation) ? { idempotencyKey: randomUUID(), ...given } : given;
  const deadline = performance.now() + timeoutMs;
  const timeout = AbortSignal.timeout(Math.ceil(timeoutMs));
  const signal = own ? AbortSignal.any([own, timeout]) : timeout;
  for (let attempt = 0; ; attempt++) {
    try {
      own?.throwIfAborted();
      return await transport.call(operation, request, { meta, signal });
    } catch (error) {
      own?.throwIfAborted();
      if (timeout.aborted) throw timedOut(timeoutMs, error);
      if (attempt >= (settings.retries ?? 2) || !isSafe(operation, error)) throw error;
      const { retryPauseMs = FIRST_PAUSE_MS } = settings;
      const pauseMs = pauseOf(retryPauseMs * 2 ** attempt, error);
      if (performance.now() + pauseMs > deadline) throw error;
      await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

function isSafe(operation: Operation, error: unknown): boolean {
  if (!(error instanceof ProjectsClientError)) return false;
  if (NOTHING_DONE.has(error.code)) return true;
  // Without a problem in its body it is the answer of a gateway.
  const isGateway = error.code === 'invalid_answer' && GATEWAY.has(error.status);
  return (UNKNOWN.has(error.code) || isGateway) && (READS.has(operation) || KEYED.has(operation));
}

/** With jitter, so that clients that failed together do not come back together. */
function pauseOf(mostMs: number, error: unknown): number {
  const { retryAfterMs = 0 } = error as ProjectsClientError;
  return retryAfterMs + mostMs * (0.5 + Math.random() / 2);
}

function timedOut(timeoutMs: number, cause: unknown): ProjectsClientError {
  return new ProjectsClientError('timeout', `There was no answer within ${timeoutMs} ms.`, {
    cause,
  });
}
