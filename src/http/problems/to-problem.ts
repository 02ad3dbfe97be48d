import { HttpException } from '@nestjs/common';
import type { Request } from 'express';
import { asDataError } from '../../db/errors.js';
import { allowedMethods, isRouted } from './allowed-methods.js';
import { Problem, problemOfStatus } from './problem.js';

/**
 * Converts an exception to the problem that answers it. It keeps the status of an HttpException, but not
 * its message, which may contain internals. `req` is undefined for a message of a microservice.
 */
export function toProblem(exception: unknown, req?: Request): Problem {
  if (exception instanceof HttpException) return ofHttpException(exception, req);
  const dataError = asDataError(exception);
  if (dataError) {
    const { code, message, faults } = dataError;
    return new Problem(code, message, faults && { errors: [...faults] });
  }
  return ofMiddleware(exception) ?? new Problem('internal_error', FAILED);
}

const FAILED = 'The service failed. Find the error in its log by the request id.';

function ofHttpException(exception: HttpException, req?: Request): Problem {
  // Nest wraps the errors of Express, its router and its body parser.
  const wrapped = ofMiddleware(exception.cause);
  if (wrapped) return wrapped;
  const status = exception.getStatus();
  if (status === 404 && req && !isRouted(req)) return noRoute(req);
  return problemOfStatus(status, status === 500 ? FAILED : undefined);
}

/** Converts an error of Express, its router, its parsers or a middleware. Its message may repeat the request. */
function ofMiddleware(exception: unknown): Problem | undefined {
  if (exception instanceof Problem) return exception;
  if (exception instanceof URIError) return badPercent();
  const { type, status } = (exception ?? {}) as { type?: unknown; status?: unknown };
  if (type === 'entity.parse.failed')
    return new Problem('invalid_json', 'The body is not valid JSON.');
  if (type === 'charset.unsupported' || type === 'encoding.unsupported') return unreadable();
  if (typeof status !== 'number' || status < 400 || status > 599) return undefined;
  return problemOfStatus(status, DETAILS[status]);
}

const DETAILS: Record<number, string> = {
  400: 'The request cannot be understood.',
  408: 'The request did not arrive in time.',
  413: 'The body is larger than the service accepts.',
  500: FAILED,
};

function unreadable(): Problem {
  return new Problem(
    'unsupported_media_type',
    'The route does not support the charset or the encoding of the body.',
    { headers: { 'Accept-Encoding': 'gzip, deflate, br' } },
  );
}

function badPercent(): Problem {
  return new Problem(
    'invalid_encoding',
    'The path contains a percent sign that is not followed by two hexadecimal digits of UTF-8.',
  );
}

function noRoute(req: Request): Problem {
  try {
    decodeURIComponent(req.path);
  } catch {
    return badPercent();
  }
  const allowed = allowedMethods(req);
  // A route that accepts the method but was not chosen serves another API version or host.
  const isOther = req.method !== 'OPTIONS' && allowed.includes(req.method);
  if (allowed.length > 0 && !isOther) return methodNotAllowed(allowed);
  return new Problem('route_not_found', 'No route has this path.');
}

/** Returns the problem for a path that supports only other methods. */
export function methodNotAllowed(allowed: string[]): Problem {
  const Allow = allowed.join(', ');
  return new Problem('method_not_allowed', `This path supports ${Allow}.`, { headers: { Allow } });
}
