import { type Fault, Problem, type ProblemBody, problemBody } from './problem.js';
import { type ProblemCode, PROBLEMS } from './problem.js';
import { REQUEST_ID } from './problem.dto.js';
import { STATUS_KINDS } from './status-kinds.js';

interface Example {
  detail?: string;
  instance?: string;
  errors?: Fault[];
  counts?: Record<string, number>;
}

/** The resource of the examples. */
export interface ExampleResource {
  /** The name of one row, such as `skill`. */
  name: string;
  /** The path of the list, such as `/api/skills`. */
  path: string;
}

/** The path of one row in the examples. */
export function examplePathOf({ path }: ExampleResource): string {
  return `${path}/0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10`;
}

/** The details of each example if they differ from the title. A test compares them with real answers. */
function examplesOf(resource: ExampleResource): Partial<Record<ProblemCode, Example>> {
  const { name, path } = resource;
  const item = examplePathOf(resource);
  const scope = `${path.split('/').at(-1)!}:write`;
  return {
    invalid_encoding: { detail: 'The request contains the character U+0000.' },
    invalid_id: { detail: 'The id in the path must be a UUID.', instance: `${path}/42` },
    invalid_cursor: {
      detail: 'The cursor does not belong to this filter and sort.',
      errors: [{ path: 'after', message: 'must be the nextCursor of a page of the same list' }],
    },
    invalid_header: {
      detail: 'If-Match must be * or a list of ETags such as "7".',
      instance: item,
    },
    invalid_value: { detail: 'The database refused a value.' },
    validation_failed: {
      detail: 'The request is not valid; see errors.',
      errors: [{ path: 'name', message: 'must be text of 1 to 255 characters' }],
    },
    bad_request: { detail: 'The body is not compressed as Content-Encoding says.' },
    import_refused: {
      detail: '1 of 1 rows were refused, so nothing was written.',
      instance: `${path}/import`,
      errors: [{ line: 1, path: 'name', message: 'must be text of 1 to 255 characters' }],
      counts: { created: 0, replaced: 0, unchanged: 0, refused: 1 },
    },
    unauthorized: { detail: 'The bearer token is not valid.' },
    insufficient_scope: { detail: `The caller needs the scope ${scope}.`, instance: item },
    not_found: { detail: `There is no ${name} with this id.`, instance: item },
    route_not_found: { detail: 'No route has this path.', instance: '/api/unknown' },
    method_not_allowed: { detail: 'This path supports GET, HEAD, OPTIONS, POST.' },
    not_acceptable: { detail: 'This route answers application/json.' },
    already_exists: {
      detail: `Another ${name} with the same name exists already.`,
      errors: [{ path: 'name', message: 'must be unique' }],
    },
    still_referenced: {
      detail: `Other entries still refer to this ${name}. Remove them, or let them refer to another one, then send the request again.`,
      instance: item,
    },
    conflict: {
      detail: 'The write conflicts with another one. The same request may succeed now.',
      instance: item,
    },
    cursor_expired: {
      detail:
        'Changes after this cursor have been removed, or the database was restored to a state before it.',
      instance: `${path}/changes`,
    },
    version_mismatch: {
      detail: `The ${name} does not have the version that the request requires.`,
      instance: item,
    },
    payload_too_large: { detail: 'The body is larger than the service accepts.' },
    request_timeout: {
      detail: 'The body did not arrive in time, or it arrived too slowly.',
      instance: `${path}/import`,
    },
    unsupported_media_type: { detail: 'This route reads application/json.' },
    expectation_failed: { detail: 'The service supports only the expectation 100-continue.' },
    idempotency_key_reused: {
      detail: 'The Idempotency-Key was used before with a different request.',
    },
    headers_too_large: {
      detail: 'The request line and the headers are larger than the service accepts.',
      instance: '/',
    },
    internal_error: { detail: 'The service failed. Find the error in its log by the request id.' },
    statement_timeout: {
      detail: 'The database did not finish the statement within the time limit.',
    },
    pool_exhausted: { detail: 'All database connections are busy.' },
    database_unavailable: { detail: 'The database cannot be reached at the moment.' },
    too_many_requests: { detail: 'This caller has sent too many requests.' },
    overloaded: { detail: 'The service is handling as many requests as it can.' },
    authentication_unavailable: {
      detail: 'The service cannot verify the caller at the moment. Try again later.',
    },
    not_ready: {
      detail: 'The service is not ready for requests; see errors.',
      instance: '/health/ready',
      errors: [{ path: 'database', message: 'The database cannot be reached at the moment.' }],
    },
  };
}

/** Returns an example problem for each code that the service itself answers, for the OpenAPI document. */
export function problemExamples(
  resource: ExampleResource,
): Record<string, { summary: string; value: ProblemBody }> {
  const details = examplesOf(resource);
  const codes = (Object.keys(PROBLEMS) as ProblemCode[]).filter((code) => !(code in STATUS_KINDS));
  const examples = codes.map((code) => {
    const { title } = PROBLEMS[code];
    const { detail = `${title}.`, instance = resource.path, ...extra } = details[code] ?? {};
    const value = problemBody(new Problem(code, detail, extra), instance, REQUEST_ID);
    return [code, { summary: title, value }] as const;
  });
  return Object.fromEntries(examples);
}
