import { randomUUID } from 'node:crypto';
import type { ArgumentsHost } from '@nestjs/common';
import { callerOf } from '../answers/caller.js';
import type { Problem } from '../problems/problem.js';
import { givenRequestId } from '../server/request-id.js';

/** The metadata of a message. Over HTTP these are headers. */
export interface MessageMeta {
  token?: string;
  requestId?: string;
  traceparent?: string;
  idempotencyKey?: string;
  ifMatch?: string;
  ifNoneMatch?: string;
  consistencyToken?: string;
}

/**
 * The context that the transport creates for each message. Guards store the caller here and not in the message,
 * because the sender controls the fields of the message.
 */
export interface MessageContext {
  user?: unknown;
  [REQUEST_ID]?: string;
  [TRACE_ID]?: string;
  [FAILURE]?: { status: number; code: string };
}

const REQUEST_ID = Symbol('request id');
const TRACE_ID = Symbol('trace id');
const FAILURE = Symbol('failure');

export function messageContextOf(host: ArgumentsHost): MessageContext {
  return host.switchToRpc().getContext<MessageContext>();
}

/** Returns the `meta` of a message that is not validated yet. Values that are not strings are ignored. */
export function metaOf(message: unknown): MessageMeta {
  const { meta } = (message ?? {}) as { meta?: unknown };
  if (typeof meta !== 'object' || meta === null) return {};
  return Object.fromEntries(Object.entries(meta).filter(([, value]) => typeof value === 'string'));
}

/** Returns the request id of a message, by the rules of `requestIdOf`. Repeated calls return the same id. */
export function messageRequestId(context: MessageContext, message: unknown): string {
  if (context[REQUEST_ID] !== undefined) return context[REQUEST_ID];
  const meta = metaOf(message);
  context[TRACE_ID] = givenRequestId({ traceparent: meta.traceparent });
  return (context[REQUEST_ID] = givenRequestId(meta) ?? randomUUID());
}

/** Records the failure of a message for the observers of answers. */
export function noteFailure(context: MessageContext, { status, code }: Problem): void {
  context[FAILURE] = { status, code };
}

/** A message that has been answered. It contains no text that the sender chose, except checked ids. */
export interface AnsweredMessage {
  /** The pattern that was matched, such as `skills.get`. */
  pattern: string;
  /** The HTTP status of the answer; 200 for every success. */
  status: number;
  /** The code of the problem; absent after a success. */
  code?: string;
  ms: number;
  /** The caller; empty if it is not authenticated. */
  actor: string;
  requestId: string;
  traceId?: string;
}

export type OnAnsweredMessage = (answered: AnsweredMessage) => void;

/** Describes the answer to a message from the values that guards, handler and filter stored in its context. */
export function answeredMessage(
  context: MessageContext,
  pattern: string,
  ms: number,
): AnsweredMessage {
  const { status = 200, code } = context[FAILURE] ?? {};
  const traceId = context[TRACE_ID];
  return {
    pattern,
    status,
    ...(code !== undefined && { code }),
    ms,
    actor: callerOf(context),
    requestId: messageRequestId(context, undefined),
    ...(traceId !== undefined && { traceId }),
  };
}
