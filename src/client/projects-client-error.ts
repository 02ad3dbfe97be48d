import type { Fault, ProblemBody, ProblemCode } from './types.js';

/**
 * Codes that only the client itself creates. `timeout`: no answer arrived in time, and a write may have been
 * executed. `unreachable`: the service cannot be reached, and nothing was sent. `connection_lost`: the connection
 * ended before the answer, and a write may have been executed. `invalid_answer`: the answer does not come from this
 * service.
 */
export type ClientCode = 'timeout' | 'unreachable' | 'connection_lost' | 'invalid_answer';

export interface FailureOptions {
  status?: number;
  errors?: Fault[];
  requestId?: string;
  retryAfterMs?: number;
  cause?: unknown;
}

/** The error of every failed call of a ProjectsClient, with any transport. Use `code` to decide what to do. */
export class ProjectsClientError extends Error {
  override readonly name = 'ProjectsClientError';
  /** The HTTP status of the code; 0 if the service has not answered. */
  readonly status: number;
  /** The faults in parts of the request, for `validation_failed` and similar codes. */
  readonly errors: Fault[];
  /** The id of the request in the log of the service. */
  readonly requestId?: string;
  readonly retryAfterMs?: number;

  constructor(
    readonly code: ProblemCode | ClientCode,
    readonly detail: string,
    { status = 0, errors = [], requestId, retryAfterMs, cause }: FailureOptions = {},
  ) {
    super(`${code}: ${detail}`, { cause });
    this.status = status;
    this.errors = errors;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Converts the body of a failure to an error; the code is `invalid_answer` if the body is not a problem. */
export function errorOfProblem(body: unknown, options: FailureOptions = {}): ProjectsClientError {
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Partial<ProblemBody>;
  const { code, detail, status, errors, requestId } = problem;
  if (typeof code !== 'string' || typeof detail !== 'string') {
    const answered = options.status === undefined ? '' : ` (status ${options.status})`;
    return new ProjectsClientError(
      'invalid_answer',
      `The answer does not come from a Projects Service${answered}. Check the address of the service.`,
      options,
    );
  }
  return new ProjectsClientError(code, detail, { ...options, status, errors, requestId });
}
