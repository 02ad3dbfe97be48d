import type { OpenAPIObject } from '@nestjs/swagger';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

export interface Operation {
  method: string;
  path: string;
  operationId: string;
  parameters: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: { $ref: string } }> };
  responses: Record<string, DocumentedAnswer>;
}

interface DocumentedAnswer {
  headers?: Record<string, { $ref: string }>;
  content?: Record<string, { schema?: object; examples?: Record<string, unknown> }>;
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

/** Every operation of the document. */
export function operationsOf(document: OpenAPIObject): Operation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ ...operation, method, path })),
  ) as Operation[];
}

/** The codes that an operation documents, or the status alone where it answers no problem: `400 invalid_id`, `200`. */
export function answersOf(operation: Operation): string[] {
  return Object.entries(operation.responses).flatMap(([status, { content }]) => {
    const codes = Object.keys(content?.['application/problem+json']?.examples ?? {});
    return codes.length > 0 ? codes.map((code) => `${status} ${code}`) : [status];
  });
}

/** One answer in the words of `answersOf`. */
export function nameOf({ status, text }: Answer): string {
  const isProblem = status >= 400 && text !== '';
  const code = isProblem ? (JSON.parse(text) as { code?: string }).code : undefined;
  return code === undefined ? String(status) : `${status} ${code}`;
}

/** Not of newline-delimited JSON, which is a file. */
export function isJson(mediaType: string): boolean {
  return /^application\/(\w+\+)?json$/.test(mediaType);
}

/**
 * Says what an answer has that the document has not, or the other way round. Stricter than the
 * document in one thing: an object may hold only the properties that its schema names.
 */
export function contractOf(document: OpenAPIObject) {
  const ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false });
  addFormats.default(ajv);
  ajv.addSchema(closed(document) as object, 'openapi');

  /** What is wrong with an answer to an operation; none when it keeps to the document. */
  function faultsOf({ method, path, responses }: Operation, answer: Answer): string[] {
    const documented = responses[answer.status];
    if (!documented) return [`${answer.status} is not documented`];
    const pointer = ['paths', path, method, 'responses', String(answer.status)];
    const faults = Object.entries(documented.headers ?? {}).flatMap(([name, { $ref }]) =>
      headerFaults(name, $ref, answer.headers.get(name)),
    );
    const type = answer.headers.get('content-type')?.split(';', 1)[0] ?? 'none';
    if (!documented.content) return answer.text === '' ? faults : [...faults, 'has a body'];
    const content = documented.content[type];
    if (!content) return [...faults, `is of type ${type}`];
    if (!isJson(type)) return faults; // a file
    const body = JSON.parse(answer.text) as { code?: string };
    if (body.code && !(body.code in (content.examples ?? {})))
      faults.push(`${body.code} is not documented`);
    return [...faults, ...invalid([...pointer, 'content', type, 'schema'], body)];
  }

  function headerFaults(name: string, $ref: string, value: string | null): string[] {
    const { required } = document.components!.headers![name] as { required?: boolean };
    if (value === null) return required ? [`has no ${name}`] : [];
    const pointer = [...$ref.slice('#/'.length).split('/'), 'schema'];
    return invalid(pointer, /^\d+$/.test(value) ? Number(value) : value);
  }

  function invalid(pointer: string[], value: unknown): string[] {
    const escaped = pointer.map((part) =>
      encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')),
    );
    const validate = ajv.getSchema(`openapi#/${escaped.join('/')}`) as ValidateFunction;
    if (validate(value)) return [];
    return validate.errors!.map(
      ({ instancePath, message, params }) =>
        `${instancePath || pointer.at(-2)} ${message} ${JSON.stringify(params)}`,
    );
  }

  return { faultsOf };
}

function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) => [key, closed(value)] as const);
  const isObject = 'properties' in schema && !('additionalProperties' in schema);
  return { ...Object.fromEntries(entries), ...(isObject && { additionalProperties: false }) };
}
