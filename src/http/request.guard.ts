import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Problem } from './problem.js';
import { requestIdOf } from './request-id.js';
import { acceptsQuery, mediaTypesOf } from './route-metadata.js';

const MAX_DEPTH = 32;

/**
 * What every request must be before a pipe looks at it: acceptable, of a media type that the route
 * reads, properly encoded. A guard, because guards run before all pipes, a host application's
 * global ones included, and some of this input makes class-validator fail.
 *
 * Throws `not_acceptable`, `unsupported_media_type`, `invalid_encoding`, `validation_failed`.
 */
@Injectable()
export class RequestGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const req = context.switchToHttp().getRequest<Request>();
    requestIdOf(req, context.switchToHttp().getResponse<Response>());
    checkAccept(req);
    if (req.url.includes('?'))
      checkQuery(req, acceptsQuery(context.getClass(), context.getHandler()));
    if (hasBody(req)) checkBody(req, mediaTypesOf(context.getHandler()));
    return true;
  }
}

function checkAccept(req: Request): void {
  const { accept } = req.headers;
  if (accept === undefined || accept === '*/*' || accept === 'application/json') return;
  if (!req.accepts('application/json')) {
    throw new Problem('not_acceptable', 'This route answers application/json.');
  }
}

function checkQuery(req: Request, accepted: boolean): void {
  try {
    decodeURIComponent(req.url.slice(req.url.indexOf('?')));
  } catch {
    throw new Problem(
      'invalid_encoding',
      'The query holds a percent sign that is not followed by two hexadecimal digits of UTF-8.',
    );
  }
  checkContent(req.query);
  const [name] = Object.keys(req.query);
  if (!accepted && name !== undefined) {
    throw invalid(name, 'this route takes no such parameter');
  }
}

function hasBody(req: Request): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = req.headers;
  return encoding !== undefined || (length !== undefined && length !== '0');
}

function checkBody(req: Request, mediaTypes: readonly string[]): void {
  if (mediaTypes.length === 0) return;
  if (!req.is([...mediaTypes])) {
    throw new Problem('unsupported_media_type', `This route reads ${mediaTypes.join(' and ')}.`);
  }
  const body: unknown = req.body;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('', 'the body must be a JSON object');
  }
  checkContent(body);
}

/**
 * Refuses what PostgreSQL cannot store (NUL, lone surrogates), nesting that would exhaust the stack,
 * and names that every object has (`__proto__`), which the validator would take for known fields.
 */
function checkContent(root: object): void {
  const left: [value: unknown, depth: number][] = [[root, 0]];
  for (let entry = left.pop(); entry; entry = left.pop()) {
    const [value, depth] = entry;
    if (typeof value === 'string') checkText(value);
    if (typeof value !== 'object' || value === null) continue;
    if (depth === MAX_DEPTH) throw invalid('', `nested more than ${MAX_DEPTH} levels deep`);
    for (const [key, child] of Object.entries(value)) {
      checkText(key);
      if (key in Object.prototype) throw invalid(key, 'there is no such field');
      left.push([child, depth + 1]);
    }
  }
}

function checkText(text: string): void {
  if (text.includes('\0'))
    throw new Problem('invalid_encoding', 'The request holds the character U+0000.');
  if (!text.isWellFormed())
    throw new Problem('invalid_encoding', 'The request holds half a surrogate pair.');
}

function invalid(path: string, message: string): Problem {
  return new Problem('validation_failed', 'The request is not valid; errors says where.', {
    errors: [{ path, message }],
  });
}
