import type { DataErrorCode } from '../../db/errors.js';
import { CODES_BY_STATUS, STATUS_KINDS } from './status-kinds.js';

interface Kind {
  status: number;
  title: string;
}

/** The only list of problem codes, with their statuses and titles. The OpenAPI document publishes it. */
export const PROBLEMS = {
  invalid_json: { status: 400, title: 'The body is not valid JSON' },
  invalid_encoding: { status: 400, title: 'The request is not properly encoded' },
  invalid_id: { status: 400, title: 'The id is not a UUID' },
  invalid_cursor: { status: 400, title: 'The cursor does not belong to this list' },
  invalid_header: { status: 400, title: 'A header is not valid' },
  invalid_value: { status: 400, title: 'The database refused a value' },
  validation_failed: { status: 400, title: 'The request is not valid' },
  import_refused: { status: 400, title: 'Rows of the file were refused' },
  bad_request: { status: 400, title: 'The request cannot be understood' },
  unauthorized: { status: 401, title: 'The request needs authentication' },
  insufficient_scope: { status: 403, title: 'The token lacks a scope' },
  forbidden: { status: 403, title: 'The caller may not do this' },
  not_found: { status: 404, title: 'The resource does not exist' },
  route_not_found: { status: 404, title: 'No route has this path' },
  method_not_allowed: { status: 405, title: 'The path does not support this method' },
  not_acceptable: { status: 406, title: 'The route has no representation that the client accepts' },
  request_timeout: { status: 408, title: 'The request did not arrive in time' },
  already_exists: { status: 409, title: 'The resource exists already' },
  conflict: {
    status: 409,
    title: 'The request conflicts with another one or with the current state',
  },
  still_referenced: { status: 409, title: 'Other resources refer to this one' },
  cursor_expired: { status: 410, title: 'The cursor has expired' },
  version_mismatch: { status: 412, title: 'The resource does not have the required version' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The route does not accept this type of body' },
  expectation_failed: { status: 417, title: 'The expectation cannot be met' },
  idempotency_key_reused: {
    status: 422,
    title: 'The Idempotency-Key belongs to another request',
  },
  too_many_requests: { status: 429, title: 'The caller sent too many requests' },
  headers_too_large: { status: 431, title: 'The headers are too large' },
  internal_error: { status: 500, title: 'The service failed' },
  statement_timeout: { status: 503, title: 'The database took too long' },
  pool_exhausted: { status: 503, title: 'All database connections are busy' },
  database_unavailable: { status: 503, title: 'The database is not available' },
  overloaded: { status: 503, title: 'The service is handling too many requests' },
  authentication_unavailable: {
    status: 503,
    title: 'Callers cannot be authenticated at the moment',
  },
  not_ready: { status: 503, title: 'The service is not ready' },
  ...STATUS_KINDS,
} as const satisfies Record<string, Kind> & Record<DataErrorCode, Kind>;

export type ProblemCode = keyof typeof PROBLEMS;

/** A fault in one part of the request: a body field, a parameter or a header. */
export interface Fault {
  /** The line number, if the body is a file. */
  line?: number;
  path: string;
  message: string;
}

interface ProblemExtra {
  errors?: Fault[];
  /** The number of rows of an import by outcome. */
  counts?: Record<string, number>;
  headers?: Record<string, string>;
  /** Default: the status of the code. */
  status?: number;
}

/** An error that ProblemFilter turns into the answer. The client sees `detail`. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;

  constructor(
    readonly code: ProblemCode,
    readonly detail: string,
    readonly extra: ProblemExtra = {},
  ) {
    super(detail);
    this.status = extra.status ?? PROBLEMS[code].status;
  }
}

const CODES = new Map<number, ProblemCode>([
  ...Object.entries(STATUS_KINDS).map(
    ([code, { status }]) => [status, code as ProblemCode] as const,
  ),
  ...Object.entries(CODES_BY_STATUS).map(([status, code]) => [Number(status), code] as const),
]);

/** Returns a problem with this status and its code; `internal_error` if the status is not 400 to 599. */
export function problemOfStatus(status: number, detail?: string): Problem {
  const isFailure = Number.isInteger(status) && status >= 400 && status < 600;
  const code = !isFailure
    ? 'internal_error'
    : (CODES.get(status) ?? (status < 500 ? 'client_error' : 'server_error'));
  const extra = isFailure ? { status } : {};
  return new Problem(code, detail ?? `${PROBLEMS[code].title}.`, extra);
}

/** The maximum number of faults in one problem. */
export const MAX_FAULTS = 100;
const MAX_PATH_LENGTH = 200;

/** Returns `validation_failed` with the first `MAX_FAULTS` faults. */
export function notValid(faults: Fault[]): Problem {
  const errors = faults.slice(0, MAX_FAULTS).map(answerable);
  return new Problem('validation_failed', 'The request is not valid; see errors.', {
    errors,
  });
}

/** Makes a fault safe to answer: its path, which the client may have chosen, is shortened. */
export function answerable(fault: Fault): Fault {
  return { ...fault, path: fault.path.slice(0, MAX_PATH_LENGTH).toWellFormed() };
}

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** The body of a failure: RFC 9457 plus the field `success` of the envelope. */
export interface ProblemBody {
  success: false;
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: ProblemCode;
  errors?: Fault[];
  counts?: Record<string, number>;
  requestId: string;
}

/** Matches the characters that RFC 3986 does not allow in a path. Node accepts them in a request. */
const NOT_IN_PATH = /%(?![\da-f]{2})|[^\w\-.~!$&'()*+,;=:@/%]/gi;

/** `instance` is the path of the request. It becomes a valid URI reference, which typed clients require. */
export function problemBody(problem: Problem, instance: string, requestId: string): ProblemBody {
  const { code, detail, extra } = problem;
  return {
    success: false,
    type: `urn:problem-type:${code}`,
    title: PROBLEMS[code].title,
    status: problem.status,
    detail,
    instance: instance.replace(NOT_IN_PATH, (text) => encodeURIComponent(text)),
    code,
    ...(extra.errors && { errors: extra.errors }),
    ...(extra.counts && { counts: extra.counts }),
    requestId,
  };
}

/** Returns the headers of a problem, with Retry-After (RFC 9110 10.2.3) where waiting helps. */
export function problemHeaders(problem: Problem): Record<string, string> {
  return { ...(problem.status === 503 && { 'Retry-After': '1' }), ...problem.extra.headers };
}
