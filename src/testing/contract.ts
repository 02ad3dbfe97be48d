import type { OpenAPIObject } from '@nestjs/swagger';
import type { Ajv, ValidateFunction } from 'ajv';
import { optionalPackage } from '../process/optional-package.js';
import { type Answer, type DocumentedHeader, isJson, type Operation } from './operations.js';

/** Compares answers with the OpenAPI document. */
export interface Contract {
  /** Returns the faults of an answer to an operation, one line each; empty if it matches the document. */
  faultsOf(operation: Operation, answer: Answer): string[];
}

type Header = DocumentedHeader | { $ref: string };

/**
 * Creates the contract of an OpenAPI document. It is stricter than the document in one point: an object may have only
 * the properties of its schema. It needs the packages `ajv` and `ajv-formats`; throws `MissingPackageError` without
 * them.
 */
export async function contractOf(document: OpenAPIObject): Promise<Contract> {
  const ajv = await createAjv();
  ajv.addSchema(closed(document) as object, 'openapi');

  function faultsOf({ method, path, responses }: Operation, answer: Answer): string[] {
    const status = String(answer.status);
    const documented = responses[status];
    if (!documented) return [`${status} is not documented`];
    const pointer = ['paths', path, method, 'responses', status];
    const faults = Object.entries(documented.headers ?? {}).flatMap(([name, header]) =>
      headerFaults([...pointer, 'headers', name], header, answer.headers.get(name)),
    );
    const type = answer.headers.get('content-type')?.split(';', 1)[0] ?? 'none';
    if (!documented.content) return answer.text === '' ? faults : [...faults, 'has a body'];
    const content = documented.content[type];
    if (!content) return [...faults, `is of type ${type}`];
    if (!isJson(type)) return faults; // a file
    const body = JSON.parse(answer.text) as { code?: string };
    if (content.examples && body?.code && !(body.code in content.examples))
      faults.push(`${body.code} is not documented`);
    return [...faults, ...invalid([...pointer, 'content', type, 'schema'], body)];
  }

  function headerFaults(at: string[], header: Header, value: string | null): string[] {
    const pointer = '$ref' in header ? header.$ref.slice('#/'.length).split('/') : at;
    const { required, schema } = ('$ref' in header ? valueAt(document, pointer) : header) ?? {};
    if (!schema) return [`the document has no schema for the header ${at.at(-1)}`];
    if (value === null) return required ? [`has no ${at.at(-1)}`] : [];
    const isNumber = schema.type === 'integer' || schema.type === 'number';
    return invalid([...pointer, 'schema'], isNumber ? Number(value) : value);
  }

  function invalid(pointer: string[], value: unknown): string[] {
    const escaped = pointer.map((part) =>
      encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')),
    );
    const validate = ajv.getSchema(`openapi#/${escaped.join('/')}`) as ValidateFunction | undefined;
    if (!validate) return ['the document has no schema for the body'];
    if (validate(value)) return [];
    return validate.errors!.map(
      ({ instancePath, message, params }) =>
        `${instancePath || pointer.at(-2)} ${message} ${JSON.stringify(params)}`,
    );
  }

  return { faultsOf };
}

async function createAjv(): Promise<Ajv> {
  const needs = 'contractOf of projects-service/testing';
  const { Ajv } = await optionalPackage('ajv', () => import('ajv'), needs);
  const formats = await optionalPackage('ajv-formats', () => import('ajv-formats'), needs);
  const ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false });
  formats.default.default(ajv);
  return ajv;
}

function valueAt(document: OpenAPIObject, pointer: string[]): DocumentedHeader | undefined {
  let value: unknown = document;
  for (const part of pointer) value = (value as Record<string, unknown> | undefined)?.[part];
  return value as DocumentedHeader | undefined;
}

function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) => [key, closed(value)] as const);
  const isObject = 'properties' in schema && !('additionalProperties' in schema);
  return { ...Object.fromEntries(entries), ...(isObject && { additionalProperties: false }) };
}
