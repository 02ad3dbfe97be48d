import type { OpenAPIObject } from '@nestjs/swagger';
import { problemExamples } from '../problems/problem.dto.js';

/** The response headers that the documentation of the routes refers to. */
export const HEADERS = {
  'X-Request-Id': {
    description: "Identifies the request in the log; the client's own id if it sent one.",
    required: true,
    schema: { type: 'string' },
    example: '0b6f3c9e-6d0f-4c8e-8f0c-3a1d5b7e9f21',
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
    example: '/api/projects/0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10',
  },
  Link: {
    description: 'The URL of the next page, with `rel="next"` (RFC 8288); absent on the last page.',
    required: false,
    schema: { type: 'string' },
    example:
      '</api/projects?after=WyIyMDI2LTAxLTMxVDEyOjAwOjAwLjAwMFoiXQ.2NuTjZDh0HGfWX8Tn0lzdA>; rel="next"',
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
    example: 'Bearer realm="projects", error="invalid_token"',
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
    example: 'attachment; filename="projects-2026-01-31T120000Z.ndjson"',
  },
  Allow: {
    description: 'The methods that the path accepts.',
    required: true,
    schema: { type: 'string' },
    example: 'GET, HEAD, OPTIONS, POST',
  },
} as const;

/**
 * Adds the shared headers and examples that the routes of this package refer to to a document of
 * `SwaggerModule.createDocument`. Without them the references are broken and code generators fail. It
 * adds only components that are referred to, and keeps those that the host defines under the same name.
 */
export function completeOpenApiDocument(document: OpenAPIObject): OpenAPIObject {
  const { headers, examples } = document.components ?? {};
  document.components = {
    ...document.components,
    headers: { ...referredTo('headers', HEADERS, document), ...headers },
    examples: { ...referredTo('examples', problemExamples(), document), ...examples },
  };
  return document;
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
