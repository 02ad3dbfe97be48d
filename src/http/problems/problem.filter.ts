import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpException,
  Logger,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { asDataError, errorCodeOf } from '../../db/errors.js';
import { allowedMethods } from '../contract/allowed-methods.js';
import { Problem, PROBLEM_MEDIA_TYPE, problemBody, problemHeaders } from './problem.js';
import { requestIdOf } from '../server/request-id.js';

/** Answers every failure as a problem, and logs those that are the service's own. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Http');

  catch(exception: unknown, host: ArgumentsHost): void {
    if (host.getType() !== 'http') throw exception;
    const req = host.switchToHttp().getRequest<Request>();
    const res = host.switchToHttp().getResponse<Response>();
    const problem = toProblem(exception, req);
    const requestId = requestIdOf(req, res);
    if (problem.status >= 500) this.log(problem, exception, requestId);
    // What has begun cannot become a problem: cut it, so that the client does not take it for whole.
    if (res.headersSent) return void res.destroy();
    if (problem.code === 'method_not_allowed' && req.method === 'OPTIONS') {
      return void res.set(problemHeaders(problem)).status(204).end();
    }
    const body = problemBody(problem, `${req.baseUrl}${req.path}`, requestId);
    // Not by Express: it would add a charset, which this type does not have.
    res
      .status(problem.status)
      .set(problemHeaders(problem))
      .setHeader('Content-Type', PROBLEM_MEDIA_TYPE);
    res.send(Buffer.from(JSON.stringify(body)));
  }

  /** Messages of database errors hold SQL and values, so their code is logged and where they came from. */
  private log(problem: Problem, exception: unknown, requestId: string): void {
    const cause = errorCodeOf(problem.cause ?? exception);
    if (problem.status === 503) return this.logger.warn({ code: problem.code, cause, requestId });
    const error = rootOf(exception);
    this.logger.error({
      code: problem.code,
      cause,
      requestId,
      error: error.name,
      ...(cause === undefined && { message: error.message }),
      stack: framesOf(error),
    });
  }
}

/** Where the failure began: what wraps it, such as drizzle's error, repeats SQL and values. */
function rootOf(exception: unknown): Error {
  let root = exception;
  for (let depth = 0; root instanceof Error && root.cause && depth < 5; depth++) root = root.cause;
  return root instanceof Error ? root : new Error('What was thrown is no Error.');
}

/** Without the message, which may itself look like a frame. */
function framesOf({ stack = '', message }: Error): string[] {
  const lines = stack.replace(message, '').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line.startsWith('at '));
}

function toProblem(exception: unknown, req: Request): Problem {
  if (exception instanceof HttpException) {
    // Nest wraps what Express, its router and its body parser throw.
    return known(exception.cause) ?? byStatus(exception.getStatus(), req);
  }
  const dataError = asDataError(exception);
  if (dataError) return new Problem(dataError.code, dataError.message);
  return known(exception) ?? byStatus((exception as { status?: unknown } | null)?.status, req);
}

function known(exception: unknown): Problem | undefined {
  if (exception instanceof Problem) return exception;
  if (exception instanceof URIError) return badPercent();
  const { type } = (exception ?? {}) as { type?: unknown };
  return type === 'entity.parse.failed'
    ? new Problem('invalid_json', 'The body is not valid JSON.')
    : undefined;
}

function badPercent(): Problem {
  return new Problem(
    'invalid_encoding',
    'The path holds a percent sign that is not followed by two hexadecimal digits of UTF-8.',
  );
}

function byStatus(status: unknown, req: Request): Problem {
  switch (status) {
    // These three come from guards of a host application.
    case 401:
      return new Problem('unauthorized', 'The request needs authentication.');
    case 403:
      return new Problem('forbidden', 'The caller may not do this.');
    case 429:
      return new Problem('too_many_requests', 'There were too many requests of this caller.');
    case 404:
      return noRoute(req);
    case 408:
      return new Problem('request_timeout', 'The request did not arrive in time.');
    case 413:
      return new Problem('payload_too_large', 'The body is larger than the service takes.');
    case 415:
      return new Problem(
        'unsupported_media_type',
        'The charset or the encoding of the body is not one that the route reads.',
        { headers: { 'Accept-Encoding': 'gzip, deflate, br' } },
      );
    default:
      return typeof status === 'number' && status >= 400 && status < 500
        ? new Problem('bad_request', 'The request cannot be understood.')
        : new Problem('internal_error', 'The service failed. The request id names it in the log.');
  }
}

function noRoute(req: Request): Problem {
  try {
    decodeURIComponent(req.path);
  } catch {
    return badPercent();
  }
  const allowed = allowedMethods(req);
  if (allowed.length === 0) return new Problem('route_not_found', 'No route has this path.');
  const Allow = allowed.join(', ');
  return new Problem('method_not_allowed', `This path takes ${Allow}.`, { headers: { Allow } });
}
