import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpException,
  Logger,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { asDataError, errorCodeOf } from '../db/errors.js';
import { allowedMethods } from './allowed-methods.js';
import { Problem, PROBLEM_MEDIA_TYPE, problemBody, problemHeaders } from './problem.js';
import { requestIdOf } from './request-id.js';

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
    const body = problemBody(problem, pathOf(req), requestId);
    res
      .status(problem.status)
      .set(problemHeaders(problem))
      .type(PROBLEM_MEDIA_TYPE)
      .send(JSON.stringify(body));
  }

  /** Messages of database errors hold SQL and values, so their code is logged and where they came from. */
  private log(problem: Problem, exception: unknown, requestId: string): void {
    const cause = errorCodeOf(exception);
    if (problem.status === 503) return this.logger.warn({ code: problem.code, cause, requestId });
    const error = exception instanceof Error ? exception : new Error('thrown: no Error');
    this.logger.error({
      code: problem.code,
      cause,
      requestId,
      error: error.name,
      ...(cause === undefined && { message: error.message }),
      stack: error.stack?.split('\n').filter((line) => line.trimStart().startsWith('at ')),
    });
  }
}

function pathOf(req: Request): string {
  return req.originalUrl.split('?', 1)[0]!;
}

function toProblem(exception: unknown, req: Request): Problem {
  // Nest wraps what Express, its router and its body parser throw.
  if (exception instanceof HttpException && exception.cause) return toProblem(exception.cause, req);
  if (exception instanceof Problem) return exception;
  const dataError = asDataError(exception);
  if (dataError) return new Problem(dataError.code, dataError.message);
  if (exception instanceof URIError) {
    return new Problem(
      'invalid_encoding',
      'The path holds a percent sign that is not followed by two hexadecimal digits of UTF-8.',
    );
  }
  const { type, status } = exception as { type?: unknown; status?: unknown };
  if (type === 'entity.parse.failed')
    return new Problem('invalid_json', 'The body is not valid JSON.');
  return byStatus(exception instanceof HttpException ? exception.getStatus() : status, req);
}

function byStatus(status: unknown, req: Request): Problem {
  switch (status) {
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
      );
    default:
      return typeof status === 'number' && status >= 400 && status < 500
        ? new Problem('bad_request', 'The request cannot be understood.')
        : new Problem('internal_error', 'The service failed. The request id names it in the log.');
  }
}

function noRoute(req: Request): Problem {
  const allowed = allowedMethods(req);
  if (allowed.length === 0) return new Problem('route_not_found', 'No route has this path.');
  const Allow = allowed.join(', ');
  return new Problem('method_not_allowed', `This path takes ${Allow}.`, { headers: { Allow } });
}
