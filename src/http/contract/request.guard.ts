import { parse } from 'node:querystring';
import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import { methodsOfNamedPath } from '../problems/allowed-methods.js';
import { methodNotAllowed } from '../problems/to-problem.js';
import { notValid, Problem } from '../problems/problem.js';
import { setApiHeaders } from '../answers/api-headers.js';
import { withUtf8 } from '../server/body-parser.js';
import { requestIdOf } from '../server/request-id.js';
import { preferredType } from '../answers/accept.js';
import { checkContent } from './content.js';
import { acceptsQuery, answerTypesOf } from './route-metadata.js';

/**
 * Checks the method, the Accept header and the query. It is a guard because guards run before all pipes,
 * also those of a host application, and because some bad input makes class-validator crash.
 *
 * Throws `method_not_allowed`, `not_acceptable`, `invalid_encoding`, `validation_failed`.
 */
@Injectable()
export class RequestGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const req = context.switchToHttp().getRequest<Request>();
    const res = context.switchToHttp().getResponse<Response>();
    requestIdOf(req, res);
    setApiHeaders(res);
    const named = methodsOfNamedPath(req);
    if (named) throw methodNotAllowed(named);
    checkAccept(req, answerTypesOf(context.getHandler()));
    if (req.url.includes('?'))
      checkQuery(req, acceptsQuery(context.getClass(), context.getHandler()));
    return true;
  }
}

function checkAccept(req: Request, types: readonly string[]): void {
  const { accept } = req.headers;
  if (accept === undefined || accept === '*/*' || accept === types[0]) return;
  req.headers.accept = withUtf8(accept);
  if (!preferredType(req, types)) {
    throw new Problem('not_acceptable', `This route answers ${types.join(' or ')}.`);
  }
}

function checkQuery(req: Request, accepted: boolean): void {
  try {
    decodeURIComponent(req.url.slice(req.url.indexOf('?')));
  } catch {
    throw new Problem(
      'invalid_encoding',
      'The query contains a percent sign that is not followed by two hexadecimal digits of UTF-8.',
    );
  }
  const query = queryOf(req);
  checkContent(query);
  const [name] = Object.keys(query);
  if (!accepted && name !== undefined) {
    throw notValid([{ path: name, message: 'there is no such parameter' }]);
  }
  Object.defineProperty(req, 'query', { value: query, writable: true, configurable: true }); // Express would parse it again at each access
}

/**
 * Returns the query of the URL, or the one that a middleware of the application has put into its place. The parser of
 * Express is a setting of the application: with `query parser` off, parameters such as `dryRun` would be ignored, and
 * the extended one changes a list of more than twenty values.
 */
function queryOf(req: Request): Request['query'] {
  if (Object.hasOwn(req, 'query')) return req.query;
  const [, query = ''] = /^[^?#]*\?([^#]*)/.exec(req.url) ?? [];
  return parse(query, '&', '=', { maxKeys: 0 });
}
