import { randomUUID } from 'node:crypto';
import type { ArgumentsHost } from '@nestjs/common';
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
 * The context that the transport makes for each message. Guards leave the caller here and not in the
 * message, since the fields of a message are the sender's own.
 */
export interface MessageContext {
  user?: unknown;
  [REQUEST_ID]?: string;
}

const REQUEST_ID = Symbol('request id');

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
  return (context[REQUEST_ID] ??= givenRequestId(metaOf(message)) ?? randomUUID());
}
