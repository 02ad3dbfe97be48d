import { applyDecorators, type Type } from '@nestjs/common';
import {
  ApiExtraModels,
  ApiProduces,
  ApiProperty,
  ApiResponse,
  type ApiResponseOptions,
  ApiSchema,
  getSchemaPath,
} from '@nestjs/swagger';
import { ProblemDto } from '../problems/problem.dto.js';
import { PROBLEM_MEDIA_TYPE, type ProblemCode, PROBLEMS } from '../problems/problem.js';

/** The headers of answers, described once in the document's components. */
type AnswerHeader =
  | 'X-Request-Id'
  | 'ETag'
  | 'Location'
  | 'Link'
  | 'Idempotency-Replayed'
  | 'Retry-After'
  | 'Accept'
  | 'Content-Disposition'
  | 'WWW-Authenticate'
  | 'X-Consistency-Token'
  | 'RateLimit'
  | 'RateLimit-Policy';

export interface SuccessOptions {
  description: string;
  /** The class of `data`; in an array of one class, the class of each item. */
  data: Type | [Type];
  meta?: Type;
  etag?: boolean;
  location?: boolean;
  link?: boolean;
  /** True if the answer may be a replay of an earlier one (http/answers/idempotency.ts). */
  replayed?: boolean;
  /** Other formats of the answer, by media type, for requests that accept them instead of JSON. */
  otherwise?: Record<string, { description: string; example?: string }>;
}

/** Documents a success: the envelope with `data`, and with `meta` for a list. */
export function ApiSuccess(status: number, options: SuccessOptions) {
  const { description, data, meta, etag, location, link, replayed, otherwise = {} } = options;
  const type = envelopeOf(data, meta);
  const others = Object.entries(otherwise).map(([mediaType, schema]) => [
    mediaType,
    { schema: { type: 'string', ...schema } },
  ]);
  return applyDecorators(
    ApiExtraModels(type),
    ...(others.length > 0 ? [ApiProduces('application/json', ...Object.keys(otherwise))] : []),
    ApiResponse({
      status,
      description,
      headers: headersOf(
        'X-Request-Id',
        etag && 'ETag',
        location && 'Location',
        link && 'Link',
        replayed && 'Idempotency-Replayed',
      ),
      content: {
        'application/json': { schema: { $ref: getSchemaPath(type) } },
        ...(Object.fromEntries(others) as object),
      },
    }),
  );
}

interface FileOptions {
  description: string;
  /** The formats of the file, by media type. The first is the default. */
  types: Record<string, { description: string; example: string }>;
}

/** Documents a success whose body is a file, without the envelope. */
export function ApiFile({ description, types }: FileOptions) {
  const content = Object.entries(types).map(([type, schema]) => [
    type,
    { schema: { type: 'string', ...schema } },
  ]);
  return applyDecorators(
    ApiProduces(...Object.keys(types)),
    ApiResponse({
      status: 200,
      description,
      headers: headersOf('X-Request-Id', 'Content-Disposition'),
      content: Object.fromEntries(content) as ApiResponseOptions['content'],
    }),
  );
}

/** Documents a 304: it has no body, and the headers of the 200. */
export function ApiNotModified() {
  return ApiResponse({
    status: 304,
    description: 'The client already has this version (`If-None-Match`). The answer has no body.',
    headers: headersOf('X-Request-Id', 'ETag'),
  });
}

/** Documents failures by their codes, grouped by status, each with an example. */
export function ApiProblems(...codes: ProblemCode[]) {
  const distinct = [...new Set(codes)];
  const statuses = [...new Set(distinct.map((code) => PROBLEMS[code].status))];
  return applyDecorators(
    ApiExtraModels(ProblemDto),
    ...statuses.map((status) => {
      const ofStatus = distinct.filter((code) => PROBLEMS[code].status === status);
      return ApiResponse({
        status,
        description: ofStatus.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' '),
        headers: headersOf(
          'X-Request-Id',
          (status === 503 || status === 429) && 'Retry-After',
          status === 429 && 'RateLimit',
          status === 429 && 'RateLimit-Policy',
          status === 415 && 'Accept',
          (status === 401 || status === 403) && 'WWW-Authenticate',
        ),
        content: {
          [PROBLEM_MEDIA_TYPE]: {
            schema: { $ref: getSchemaPath(ProblemDto) },
            examples: Object.fromEntries(
              ofStatus.map((code) => [code, { $ref: `#/components/examples/${code}` }]),
            ),
          },
        },
      });
    }),
  );
}

/** The problems that a route may answer because it reads a body and stores it. */
export const BODY_PROBLEMS = [
  'invalid_json',
  'invalid_value',
  'bad_request',
  'conflict',
  'payload_too_large',
  'unsupported_media_type',
] as const satisfies ProblemCode[];

/** Documents the failures of a resource's route: the given codes, and those that every route may answer. */
export function ApiResourceProblems(...codes: ProblemCode[]) {
  return ApiProblems(
    'validation_failed',
    'invalid_encoding',
    'invalid_header',
    'unauthorized',
    'insufficient_scope',
    ...codes,
    'not_acceptable',
    'too_many_requests',
    'internal_error',
    'statement_timeout',
    'pool_exhausted',
    'database_unavailable',
    'authentication_unavailable',
    'overloaded',
  );
}

// Nest's type allows no reference to a shared header, but the document does.
export function headersOf(
  ...names: (AnswerHeader | false | undefined)[]
): ApiResponseOptions['headers'] {
  const references = names
    .filter((name) => typeof name === 'string')
    .map((name) => [name, { $ref: `#/components/headers/${name}` }]);
  return Object.fromEntries(references) as ApiResponseOptions['headers'];
}

const envelopes = new Map<string, Type>();

/** Returns a class that only documents an answer: `SkillResponse`, `SkillListResponse`. */
function envelopeOf(data: Type | [Type], meta?: Type): Type {
  const [item, kind] = Array.isArray(data) ? [data[0], 'ListResponse'] : [data, 'Response'];
  const name = item.name.replace(/Dto$/, '') + kind;
  const known = envelopes.get(name);
  if (known) return known;
  class Envelope {}
  ApiSchema({ name })(Envelope);
  ApiProperty({ type: 'boolean', enum: [true] })(Envelope.prototype, 'success');
  ApiProperty({ type: data })(Envelope.prototype, 'data');
  if (meta) ApiProperty({ type: meta })(Envelope.prototype, 'meta');
  envelopes.set(name, Envelope);
  return Envelope;
}
