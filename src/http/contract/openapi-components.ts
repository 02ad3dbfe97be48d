import type { OpenAPIObject } from '@nestjs/swagger';
import { REQUEST_ID } from '../problems/problem.dto.js';
import {
  type ExampleResource,
  examplePathOf,
  problemExamples,
} from '../problems/problem-examples.js';

/** The response headers that the documentation of the routes refers to. */
function headersOf(resource: ExampleResource) {
  const { path } = resource;
  const plural = path.split('/').at(-1)!;
  return {
    'X-Request-Id': {
      description: "Identifies the request in the log; the client's own id if it sent one.",
      required: true,
      schema: { type: 'string' },
      example: REQUEST_ID,
    },
    ETag: {
      description: 'The version of the row, in quotes.',
      required: true,
      schema: { type: 'string', pattern: '^"[1-9][0-9]*"$' },
      example: '"1"',
    },
    Location: {
      description: 'The path of the created row.',
      required: true,
      schema: { type: 'string', format: 'uri-reference' },
      example: examplePathOf(resource),
    },
    Link: {
      description:
        'The URL of the next page, with `rel="next"` (RFC 8288); absent on the last page.',
      required: false,
      schema: { type: 'string' },
      example: `<${path}?after=WyIyMDI2LTAxLTMxVDEyOjAwOjAwLjAwMFoiXQ.2NuTjZDh0HGfWX8Tn0lzdA>; rel="next"`,
    },
    'Idempotency-Replayed': {
      description:
        'Present if this is the stored answer to an earlier request with the same `Idempotency-Key`.',
      required: false,
      schema: { type: 'string', pattern: '^true$' },
      example: 'true',
    },
    'X-Consistency-Token': {
      description:
        'Present if the service has read replicas. Send it with reads that must see this write.',
      required: false,
      schema: { type: 'string' },
      example: '1-16/B374D848',
    },
    'Retry-After': {
      description: 'Seconds to wait before a retry.',
      required: true,
      schema: { type: 'integer', minimum: 1 },
      example: 1,
    },
    Accept: {
      description: 'The media types that the route reads, if the media type was wrong.',
      schema: { type: 'string' },
      example: 'application/json',
    },
    'WWW-Authenticate': {
      description: 'The realm, and the error of the token (RFC 6750).',
      required: true,
      schema: { type: 'string', pattern: '^Bearer realm="' },
      example: `Bearer realm="${plural}", error="invalid_token"`,
    },
    RateLimit: {
      description:
        'The requests that are left (`r`), and the seconds until the full quota is back (`t`).',
      required: true,
      schema: { type: 'string', pattern: '^"default";r=[0-9]+;t=[0-9]+$' },
      example: '"default";r=7;t=12',
    },
    'RateLimit-Policy': {
      description: 'The quota of a caller: `q` requests in `w` seconds.',
      required: true,
      schema: { type: 'string', pattern: '^"default";q=[0-9]+;w=[0-9]+$' },
      example: '"default";q=100;w=60',
    },
    'Content-Disposition': {
      description: 'A suggested file name.',
      required: true,
      schema: { type: 'string' },
      example: `attachment; filename="${plural}-2026-01-31T120000Z.ndjson"`,
    },
    Allow: {
      description: 'The methods that the path accepts.',
      required: true,
      schema: { type: 'string' },
      example: 'GET, HEAD, OPTIONS, POST',
    },
  };
}

/**
 * Adds the shared headers and examples that the routes of this package refer to to a document of
 * `SwaggerModule.createDocument`. Without them the references are broken and code generators fail. It
 * adds only components that are referred to, and keeps those that the host defines under the same name. The examples
 * show the first resource of the document.
 */
export function completeOpenApiDocument(document: OpenAPIObject): OpenAPIObject {
  const { headers, examples } = document.components ?? {};
  const resource = firstResourceOf(document);
  document.components = {
    ...document.components,
    headers: { ...referredTo('headers', headersOf(resource), document), ...headers },
    examples: { ...referredTo('examples', problemExamples(resource), document), ...examples },
  };
  return document;
}

/** Returns the first path below which `{id}` is read by an operation such as `getSkill`. */
function firstResourceOf({ paths }: OpenAPIObject): ExampleResource {
  for (const path of Object.keys(paths)) {
    const operation = /^get(\w)(\w*)$/.exec(paths[`${path}/{id}`]?.get?.operationId ?? '');
    if (operation) return { path, name: operation[1]!.toLowerCase() + operation[2]! };
  }
  return { path: '/api/entries', name: 'entry' };
}

function referredTo<V>(
  kind: string,
  known: Readonly<Record<string, V>>,
  document: OpenAPIObject,
): Record<string, V> {
  const text = JSON.stringify(document);
  const entries = Object.entries(known);
  return Object.fromEntries(
    entries.filter(([name]) => text.includes(`"#/components/${kind}/${name}"`)),
  );
}
