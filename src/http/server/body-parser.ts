import { isUtf8 } from 'node:buffer';
import type { Request, RequestHandler } from 'express';
import { notValid, Problem } from '../problems/problem.js';
import { requireUtf8 } from '../streams/charset.js';
import { type JsonLimits, jsonSizeFault } from './json-size.js';
import { nextTurn } from '../streams/turns.js';
import { wholeBody } from './whole-body.js';

export const JSON_MEDIA_TYPES = ['application/json', 'application/merge-patch+json'];

/** A batch of 1,000 operations with lists of 100 texts each has 110,000 values and 6,000 fields. */
const LIMITS: JsonLimits = { depth: 32, fields: 20_000, values: 120_000 };
/** A body below this size is parsed in one or two milliseconds. */
const LARGE_BYTES = 16 * 1024;

/**
 * Reads JSON bodies up to `limit` (such as `1mb`). It refuses bytes that are not UTF-8 instead of
 * replacing them, and refuses JSON with too many values before parsing it. It accepts any JSON value;
 * the routes decide which they allow. An empty body counts as an empty object.
 */
export function jsonBody(limit: string): RequestHandler {
  const maxBytes = bytesOf(limit);
  return (req, _res, next) => {
    const isRead = req.body !== undefined || req.readableDidRead || req.readableEnded;
    if (isRead || !req.is(JSON_MEDIA_TYPES)) return next();
    readJson(req, maxBytes).then(() => next(), next);
  };
}

async function readJson(req: Request, maxBytes: number): Promise<void> {
  requireUtf8(req);
  const body = await wholeBody(req, maxBytes);
  if (body.length > LARGE_BYTES) await nextTurn();
  req.body = body.length === 0 ? {} : jsonIn(body);
}

/** Parses a JSON text. Throws `invalid_encoding`, `invalid_json`, and `validation_failed` if it exceeds the limits. */
export function jsonIn(body: Buffer): unknown {
  if (!isUtf8(body)) throw new Problem('invalid_encoding', 'The body is not valid UTF-8.');
  const fault = jsonSizeFault(body, LIMITS);
  if (fault) throw endsAsJson(body) ? notValid([fault]) : notJson();
  try {
    return JSON.parse(body.toString());
  } catch {
    throw notJson();
  }
}

/** True if the text ends like a JSON list or object. */
function endsAsJson(body: Buffer): boolean {
  return /[\]}]\s*$/.test(body.subarray(-100).toString());
}

function notJson(): Problem {
  return new Problem('invalid_json', 'The body is not valid JSON.');
}

const UTF8_ALIAS = /(;\s*charset\s*=\s*"?)utf8(?=["\s;,]|$)/gi;

/** Replaces the charset name `utf8`, which many clients send, by the registered name `utf-8`. */
export function withUtf8(header: string): string {
  return header.replace(UTF8_ALIAS, '$1utf-8');
}

const UNITS = { b: 1, kb: 1024, mb: 1024 ** 2 };

/** Converts a size such as `500kb` to bytes. */
export function bytesOf(limit: string): number {
  const match = /^([1-9]\d*)(b|kb|mb)?$/.exec(limit.toLowerCase());
  if (!match) throw new Error(`The body limit must be a size such as 500kb or 1mb: ${limit}`);
  const [, count, unit = 'b'] = match;
  return Number(count) * UNITS[unit as keyof typeof UNITS];
}
