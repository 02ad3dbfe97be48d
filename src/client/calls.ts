import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ProjectsClientError } from './projects-client-error.js';
import type { Operation, Reply, RequestMeta, Requests, Transport } from './transport.js';

export interface CallOptions {
  /** The timeout of this call, instead of that of the client. */
  timeoutMs?: number;
  /** Aborts the call, which then rejects with the reason of the signal. */
  signal?: AbortSignal;
  /** The request id for the log and the history of the service. */
  requestId?: string;
  /** W3C Trace Context. */
  traceparent?: string;
  /**
   * For reads: the answer contains the write that returned this token, and all earlier ones. The client sends the
   * token of its own writes automatically; this option is for a write of another client.
   */
  consistencyToken?: string;
}

export interface CallSettings {
  /** The maximum time of a call with all its retries; default 10,000. */
  timeoutMs?: number;
  /** The maximum number of retries of a failed call, if a retry is safe; default 2. */
  retries?: number;
  /** The pause before the first retry, doubled for each further one; default 100. */
  retryPauseMs?: number;
}

/** An answer with one of these codes means that nothing was written. */
const NOTHING_DONE = new Set([
  'unreachable',
  'conflict',
  'pool_exhausted',
  'overloaded',
  'too_many_requests',
  'authentication_unavailable',
  'not_ready',
]);
/** With these codes it is unknown whether something was written. */
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
/** Operations that always get an Idempotency-Key, so that a retry does not execute them twice. */
const KEYED = new Set<Operation>(['create', 'batch']);
const FIRST_PAUSE_MS = 100;

/**
 * Sends a request until it is answered, the time is over, or a retry would not be safe. Reads and requests with
 * an Idempotency-Key are retried after any temporary failure, other writes only if it is known that nothing was
 * written.
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
  // If its body is not a problem, it is the answer of a gateway.
  const isGateway = error.code === 'invalid_answer' && GATEWAY.has(error.status);
  return (UNKNOWN.has(error.code) || isGateway) && (READS.has(operation) || KEYED.has(operation));
}

/** Returns the pause with jitter, so that clients that failed together do not retry together. */
function pauseOf(mostMs: number, error: unknown): number {
  const { retryAfterMs = 0 } = error as ProjectsClientError;
  return retryAfterMs + mostMs * (0.5 + Math.random() / 2);
}

function timedOut(timeoutMs: number, cause: unknown): ProjectsClientError {
  return new ProjectsClientError('timeout', `The service did not answer within ${timeoutMs} ms.`, {
    cause,
  });
}
