import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { type Fault, Problem, type ProblemBody, problemBody } from './problem.js';
import { type ProblemCode, PROBLEMS } from './problem.js';
import { STATUS_KINDS } from './status-kinds.js';

// The values that the examples share.
const REQUEST_ID = '0b6f3c9e-6d0f-4c8e-8f0c-3a1d5b7e9f21';
const LIST = '/api/projects';
const ITEM = '/api/projects/0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10';

@ApiSchema({ name: 'Fault', description: 'What is wrong with one part of the request.' })
export class FaultDto implements Fault {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    description: 'With `import_refused`: the line of the file where the row begins.',
  })
  line?: number;

  @ApiProperty({
    example: 'name',
    description: 'The field, parameter or header; empty for the request as a whole.',
  })
  path!: string;

  @ApiProperty({ example: 'must be text of 1 to 255 characters' })
  message!: string;
}

@ApiSchema({
  name: 'Problem',
  description: 'The body of every failure: RFC 9457, with the flag of the envelope.',
})
export class ProblemDto implements ProblemBody {
  @ApiProperty({ type: 'boolean', enum: [false] })
  success!: false;

  @ApiProperty({
    format: 'uri',
    example: 'urn:problem-type:not_found',
    description: 'Identifies the kind of problem. It ends with the code.',
  })
  type!: string;

  @ApiProperty({
    example: PROBLEMS.not_found.title,
    description: 'The title, which is the same for every problem with this code.',
  })
  title!: string;

  @ApiProperty({
    type: 'integer',
    minimum: 400,
    maximum: 599,
    example: PROBLEMS.not_found.status,
    description: 'The status of the answer.',
  })
  status!: number;

  @ApiProperty({
    example: 'There is no project with this id.',
    description: 'An explanation of this failure for people.',
  })
  detail!: string;

  @ApiProperty({
    format: 'uri-reference',
    example: ITEM,
    description: 'The path of the request.',
  })
  instance!: string;

  @ApiProperty({
    enum: Object.keys(PROBLEMS),
    enumName: 'ProblemCode',
    enumSchema: { description: listOfCodes() },
    description: 'The code of the problem. Clients should use this field to decide what to do.',
  })
  code!: ProblemCode;

  @ApiPropertyOptional({
    type: [FaultDto],
    description:
      'The faults, for `validation_failed`, `invalid_cursor`, `not_ready` and a batch that was refused. For `import_refused`: the faults of the first 100 refused rows.',
  })
  errors?: FaultDto[];

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'integer', minimum: 0 },
    description:
      'With `import_refused`: how many rows were `refused`; none was `created`, `replaced` or `unchanged`.',
  })
  counts?: Record<string, number>;

  @ApiProperty({
    example: REQUEST_ID,
    description: 'The same id as in the `X-Request-Id` header.',
  })
  requestId!: string;
}

function listOfCodes(): string {
  const lines = Object.entries(PROBLEMS).map(
    ([code, { status, title }]) => `- \`${code}\` (${status}): ${title}.`,
  );
  const foreign = lines.splice(-Object.keys(STATUS_KINDS).length);
  return [
    'A code never changes its meaning.',
    '',
    ...lines,
    '',
    'Only the guards of an application that embeds this API answer these codes:',
    '',
    ...foreign,
  ].join('\n');
}

interface Example {
  detail?: string;
  instance?: string;
  errors?: Fault[];
  counts?: Record<string, number>;
}

/** The details of each example if they differ from the title. A test compares them with real answers. */
const EXAMPLES: Partial<Record<ProblemCode, Example>> = {
  invalid_encoding: { detail: 'The request contains the character U+0000.' },
  invalid_id: { detail: 'The id in the path must be a UUID.', instance: '/api/projects/42' },
  invalid_cursor: {
    detail: 'The cursor does not belong to this filter and sort.',
    errors: [{ path: 'after', message: 'must be the nextCursor of a page of the same list' }],
  },
  invalid_header: {
    detail: 'If-Match must be * or a list of ETags such as "7".',
    instance: ITEM,
  },
  invalid_value: { detail: 'The database refused a value.' },
  validation_failed: {
    detail: 'The request is not valid; see errors.',
    errors: [{ path: 'name', message: 'must be text of 1 to 255 characters' }],
  },
  bad_request: { detail: 'The body is not compressed as Content-Encoding says.' },
  import_refused: {
    detail: '1 of 1 rows were refused, so nothing was written.',
    instance: '/api/projects/import',
    errors: [{ line: 1, path: 'name', message: 'must be text of 1 to 255 characters' }],
    counts: { created: 0, replaced: 0, unchanged: 0, refused: 1 },
  },
  unauthorized: { detail: 'The bearer token is not valid.' },
  insufficient_scope: { detail: 'The caller needs the scope projects:write.', instance: ITEM },
  not_found: { detail: 'There is no project with this id.', instance: ITEM },
  route_not_found: { detail: 'No route has this path.', instance: '/api/project' },
  method_not_allowed: { detail: 'This path supports GET, HEAD, OPTIONS, POST.' },
  not_acceptable: { detail: 'This route answers application/json.' },
  already_exists: { detail: 'An entry with this key exists already.' },
  conflict: {
    detail: 'The write conflicts with another one. The same request may succeed now.',
    instance: ITEM,
  },
  cursor_expired: {
    detail:
      'Changes after this cursor have been removed, or the database was restored to a state before it.',
    instance: '/api/projects/changes',
  },
  version_mismatch: {
    detail: 'The project does not have the version that the request requires.',
    instance: ITEM,
  },
  payload_too_large: { detail: 'The body is larger than the service accepts.' },
  request_timeout: {
    detail: 'The body did not arrive in time, or it arrived too slowly.',
    instance: '/api/projects/import',
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
  statement_timeout: { detail: 'The database did not finish the statement within the time limit.' },
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

/** Returns an example problem for each code that the service itself answers, for the OpenAPI document. */
export function problemExamples(): Record<string, { summary: string; value: ProblemBody }> {
  const codes = (Object.keys(PROBLEMS) as ProblemCode[]).filter((code) => !(code in STATUS_KINDS));
  const examples = codes.map((code) => {
    const { title } = PROBLEMS[code];
    const { detail = `${title}.`, instance = LIST, ...extra } = EXAMPLES[code] ?? {};
    const value = problemBody(new Problem(code, detail, extra), instance, REQUEST_ID);
    return [code, { summary: title, value }] as const;
  });
  return Object.fromEntries(examples);
}
