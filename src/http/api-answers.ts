import { applyDecorators, type Type } from '@nestjs/common';
import {
  ApiExtraModels,
  ApiResponse,
  type ApiResponseOptions,
  getSchemaPath,
} from '@nestjs/swagger';
import { ProblemDto } from './problem.dto.js';
import { PROBLEM_MEDIA_TYPE, type ProblemCode, PROBLEMS, problemBody, Problem } from './problem.js';

/** Nest types a header as written out; a reference to a shared one is as good. */
type HeadersObject = ApiResponseOptions['headers'];

const REQUEST_ID = { $ref: '#/components/headers/X-Request-Id' };
const ETAG = { $ref: '#/components/headers/ETag' };
const LOCATION = { $ref: '#/components/headers/Location' };

interface SuccessOptions {
  description: string;
  /** The class of `data`; in a list of one, of each of its items. */
  data: Type | [Type];
  meta?: Type;
  etag?: boolean;
  location?: boolean;
}

/** Documents a success: the envelope around `data`, and `meta` where there is one. */
export function ApiSuccess(
  status: number,
  { description, data, meta, etag, location }: SuccessOptions,
) {
  const item = { $ref: getSchemaPath(Array.isArray(data) ? data[0] : data) };
  const headers = {
    'X-Request-Id': REQUEST_ID,
    ...(etag && { ETag: ETAG }),
    ...(location && { Location: LOCATION }),
  };
  return applyDecorators(
    ApiExtraModels(...[data, meta].flat().filter((model) => model !== undefined)),
    ApiResponse({
      status,
      description,
      headers: headers as unknown as HeadersObject,
      content: {
        'application/json': {
          schema: {
            type: 'object',
            required: ['success', 'data', ...(meta ? ['meta'] : [])],
            additionalProperties: false,
            properties: {
              success: { type: 'boolean', enum: [true] },
              data: Array.isArray(data) ? { type: 'array', items: item } : item,
              ...(meta && { meta: { $ref: getSchemaPath(meta) } }),
            },
          },
        },
      },
    }),
  );
}

/** Documents a 304: no body, the headers of the 200. */
export function ApiNotModified() {
  return ApiResponse({
    status: 304,
    description: 'The client has this version already (If-None-Match).',
    headers: { 'X-Request-Id': REQUEST_ID, ETag: ETAG } as unknown as HeadersObject,
  });
}

/** Documents failures by their codes, grouped by status, each with an example. */
export function ApiProblems(...codes: ProblemCode[]) {
  const statuses = [...new Set(codes.map((code) => PROBLEMS[code].status))];
  return applyDecorators(
    ApiExtraModels(ProblemDto),
    ...statuses.map((status) => {
      const ofStatus = codes.filter((code) => PROBLEMS[code].status === status);
      return ApiResponse({
        status,
        description: ofStatus.map((code) => `\`${code}\`: ${PROBLEMS[code].title}`).join('. '),
        headers: {
          'X-Request-Id': REQUEST_ID,
          ...(status === 503 && { 'Retry-After': { $ref: '#/components/headers/Retry-After' } }),
        } as unknown as HeadersObject,
        content: {
          [PROBLEM_MEDIA_TYPE]: {
            schema: { $ref: getSchemaPath(ProblemDto) },
            examples: Object.fromEntries(
              ofStatus.map((code) => [code, { value: exampleOf(code) }]),
            ),
          },
        },
      });
    }),
  );
}

/** What any route under the API may answer, whatever it does. */
export function ApiCommonProblems() {
  return ApiProblems(
    'validation_failed',
    'invalid_encoding',
    'bad_request',
    'not_acceptable',
    'internal_error',
    'statement_timeout',
    'pool_exhausted',
    'database_unavailable',
  );
}

function exampleOf(code: ProblemCode) {
  const errors =
    code === 'validation_failed'
      ? [{ path: 'name', message: 'must be text of 1 to 255 characters' }]
      : undefined;
  return problemBody(
    new Problem(code, `${PROBLEMS[code].title}.`, { errors }),
    '/api/projects',
    '0b6f3c9e-6d0f-4c8e-8f0c-3a1d5b7e9f21',
  );
}
