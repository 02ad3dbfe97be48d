import {
  applyDecorators,
  HttpCode,
  RequestMapping,
  RequestMethod,
  type Type,
} from '@nestjs/common';
import { ApiConsumes, ApiHeader, ApiOperation, ApiParam } from '@nestjs/swagger';
import { ApiIdempotencyKey, KEY_PROBLEMS } from '../answers/idempotency.js';
import {
  parameterTypes,
  type PartKind,
  routeParameters,
  setParameterTypes,
} from '../internals/nest.js';
import { Consistency } from './consistency.js';
import type { ProblemCode } from '../problems/problem.js';
import {
  ApiNotModified,
  ApiResourceProblems,
  ApiSuccess,
  BODY_PROBLEMS,
  type SuccessOptions,
} from './api-answers.js';

export interface EndpointOptions {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** The path below that of the controller; default: the path of the controller. */
  path?: string;
  operationId: string;
  summary: string;
  description?: string;
  /** The DTO class of the query; default: the type of the parameter. */
  query?: Type;
  /** The DTO class of the body; default: the type of the parameter. */
  body?: Type;
  /** The media types of the body; default: JSON if there is a body. */
  consumes?: string[];
  /** The successful answers by status; the first is the default status of the handler. */
  answers: Record<number, SuccessOptions>;
  /** The problems of this route, in addition to those that its other options imply. */
  problems?: ProblemCode[];
  /** The entity that the `:id` of the path identifies, with an example. */
  id?: { noun: string; example: string };
  /** `read`: If-None-Match answers 304. `write`: If-Match and If-None-Match decide about the write. */
  conditions?: 'read' | 'write';
  /** The handler runs its work by `withIdempotencyKey`. */
  idempotent?: boolean;
}

/**
 * Declares everything about one route in one place: its method and path, its input and answers, its
 * problems, its conditions and its documentation. The handler declares its parameters as usual in Nest:
 * `@Body() body: Dto`, `@Query() query: Dto`. In a controller class that is generated for any entity the
 * compiler does not know these types; there the options `body` and `query` set the DTO classes.
 */
export function Endpoint(options: EndpointOptions): MethodDecorator {
  const { method, path = '/', query, body, answers, id, conditions, idempotent } = options;
  const { operationId, summary, description } = options;
  const statuses = Object.keys(answers).map(Number);
  const consumes = options.consumes ?? (body ? ['application/json'] : []);
  const decorators: (MethodDecorator & ClassDecorator)[] | MethodDecorator[] = [
    RequestMapping({ path, method: RequestMethod[method] }),
    HttpCode(statuses[0]!),
    ApiOperation({ operationId, summary, ...(description && { description }) }),
    ...(id ? [ApiEntityId(id)] : []),
    ...(consumes.length > 0 ? [ApiConsumes(...consumes)] : []),
    ...(conditions ? [CONDITIONS[conditions](id?.noun ?? 'entity')] : []),
    ...(idempotent ? [ApiIdempotencyKey()] : []),
    ...statuses.map((status) => ApiSuccess(status, answers[status]!)),
    ApiResourceProblems(...problemsOf(options, consumes.length > 0)),
    Consistency(),
  ];
  return (target, key, descriptor) => {
    setTypes(target, key, { query, body });
    applyDecorators(...decorators)(target, key, descriptor);
  };
}

function problemsOf(options: EndpointOptions, readsBody: boolean): ProblemCode[] {
  const { id, conditions, idempotent, problems = [] } = options;
  const all: ProblemCode[] = [
    ...(id ? (['invalid_id'] as const) : []),
    ...(conditions ? (['invalid_header', 'version_mismatch'] as const) : []),
    ...problems,
    ...(readsBody ? BODY_PROBLEMS : []),
    ...(idempotent ? KEY_PROBLEMS : []),
  ];
  return [...new Set(all)];
}

/** The class of the query of a handler whose parameter has a type that is not known to the compiler. */
export function QueryClass(query: Type): MethodDecorator {
  return (target, key) => setTypes(target, key, { query });
}

/** Writes the metadata that TypeScript would emit for parameters of these classes. */
function setTypes(
  target: object,
  key: string | symbol,
  classes: Partial<Record<PartKind, Type<object>>>,
): void {
  const types = [...parameterTypes(target, key)];
  for (const { kind, index } of routeParameters(target.constructor, key) ?? []) {
    const type = kind && classes[kind];
    if (type) types[index] = type;
  }
  setParameterTypes(target, key, types);
}

function ApiEntityId({ noun, example }: { noun: string; example: string }): MethodDecorator {
  return ApiParam({
    name: 'id',
    type: String,
    format: 'uuid',
    example,
    description: `The id of the ${noun}: a UUID of any version.`,
  });
}

const header = (name: string, description: string) =>
  ApiHeader({ name, required: false, description });

/** RFC 9110 13.1; both headers may be sent at once. */
const CONDITIONS = {
  read: (noun: string) =>
    applyDecorators(
      header('If-Match', `Answer 412 if the ${noun} has none of these ETags.`),
      header(
        'If-None-Match',
        `Answer 304 if the ${noun} still has one of these ETags, such as \`"7"\`.`,
      ),
      ApiNotModified(),
    ),
  write: (noun: string) =>
    applyDecorators(
      header(
        'If-Match',
        `Write only if the ${noun} has one of these ETags, such as \`"7"\`, or, with \`*\`, if it exists; otherwise answer 412. Without this header the last write wins.`,
      ),
      header(
        'If-None-Match',
        `Write only if the ${noun} has none of these ETags, or, with \`*\`, if it does not exist; otherwise answer 412.`,
      ),
    ),
};
