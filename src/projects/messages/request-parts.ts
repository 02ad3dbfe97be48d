import type { Type } from '@nestjs/common';
import { isUuid } from '../../db/driver/text-format.js';
import { type Preconditions, preconditionsOf } from '../../http/answers/etag.js';
import { checkedToken } from '../../http/answers/consistency-token.js';
import { checkContent } from '../../http/contract/content.js';
import { validated } from '../../http/contract/validation.js';
import { type MessageMeta, metaOf } from '../../http/messages/message-request.js';
import { notValid, Problem } from '../../http/problems/problem.js';

export type Part = 'id' | 'query' | 'body';

/** The parts of a message that an operation accepts. They are not validated yet. */
export interface RequestParts {
  id?: unknown;
  query?: unknown;
  body?: unknown;
  meta: MessageMeta;
}

/**
 * Returns the parts of a message. Throws `validation_failed` for a part that the operation does not accept, and
 * `invalid_encoding` for text that cannot be stored, as over HTTP.
 */
export function partsOf(message: unknown, takes: readonly Part[]): RequestParts {
  requireObject(message, '');
  checkContent(message);
  const known = [...takes, 'meta'];
  const unknown = Object.keys(message).filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw notValid(unknown.map((path) => ({ path, message: 'there is no such field' })));
  }
  const { meta = {} } = message as { meta?: unknown };
  requireObject(meta, 'meta');
  for (const [name, value] of Object.entries(meta)) {
    if (typeof value !== 'string') {
      throw notValid([{ path: `meta.${name}`, message: 'must be text' }]);
    }
  }
  return { ...message, meta: metaOf(message) };
}

/** Returns the id in lower case, as the database returns it. Throws `invalid_id`. */
export function idOf({ id }: RequestParts): string {
  if (!isUuid(id)) throw new Problem('invalid_id', 'The id must be a UUID.');
  return id.toLowerCase();
}

/** Converts the body to an instance of its class. Throws `validation_failed`. */
export async function bodyOf<T extends object>(type: Type<T>, { body }: RequestParts): Promise<T> {
  requireObject(body, 'body');
  return await validated(type, body);
}

/** Converts the query to an instance of its class. Numbers and booleans count as the texts of a URL. */
export async function queryOf<T extends object>(
  type: Type<T>,
  { query = {} }: RequestParts,
): Promise<T> {
  requireObject(query, 'query');
  const texts = Object.entries(query).map(([name, value]) => [name, textOf(value)] as const);
  return await validated(type, Object.fromEntries(texts));
}

function textOf(value: unknown): unknown {
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
}

/** Parses the conditions of a message. Throws `invalid_header`, as for the HTTP headers. */
export function conditionsOf({ meta }: RequestParts): Preconditions {
  return preconditionsOf({ 'if-match': meta.ifMatch, 'if-none-match': meta.ifNoneMatch });
}

/** Returns the consistency token. Throws `invalid_header` if the text is not a token. */
export function consistencyTokenOf({ meta }: RequestParts): string | undefined {
  return checkedToken(meta.consistencyToken, 'meta.consistencyToken');
}

function requireObject(value: unknown, path: string): asserts value is object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  throw notValid([{ path, message: 'must be an object' }]);
}
