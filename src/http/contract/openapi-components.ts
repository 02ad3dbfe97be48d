import type { OpenAPIObject } from '@nestjs/swagger';
import { problemExamples } from '../problems/problem.dto.js';

/** The headers of answers, to which the documentation of routes refers. */
export const HEADERS = {
  'X-Request-Id': {
    description: "Names the request in the log; the caller's own where it sent one.",
    required: true,
    schema: { type: 'string' },
    example: '0b6f3c9e-6d0f-4c8e-8f0c-3a1d5b7e9f21',
  },
  ETag: {
    description: 'The version of the project, in quotes.',
    required: true,
    schema: { type: 'string', pattern: '^"[1-9][0-9]*"$' },
    example: '"1"',
  },
  Location: {
    description: 'The path of the project.',
    required: true,
    schema: { type: 'string', format: 'uri-reference' },
    example: '/api/projects/0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10',
  },
  Link: {
    description: 'The next page, with `rel="next"` (RFC 8288); absent on the last.',
    required: false,
    schema: { type: 'string' },
    example:
      '</api/projects?after=WyIyMDI2LTAxLTMxVDEyOjAwOjAwLjAwMFoiXQ.2NuTjZDh0HGfWX8Tn0lzdA>; rel="next"',
  },
  'Idempotency-Replayed': {
    description:
      'On an answer that was given before, to the first request with this `Idempotency-Key`.',
    required: false,
    schema: { type: 'string', pattern: '^true$' },
    example: 'true',
  },
  'X-Consistency-Token': {
    description:
      'Where the operator has set up read replicas: send it with the reads that must see this write.',
    required: false,
    schema: { type: 'string' },
    example: '1-16/B374D848',
  },
  'Retry-After': {
    description: 'Seconds to wait before the request is tried again.',
    required: true,
    schema: { type: 'integer', minimum: 1 },
    example: 1,
  },
  Accept: {
    description: 'What the route reads, if that is what was wrong.',
    schema: { type: 'string' },
    example: 'application/json',
  },
  'WWW-Authenticate': {
    description: 'RFC 6750: the realm, and what was wrong with the token.',
    required: true,
    schema: { type: 'string', pattern: '^Bearer realm="' },
    example: 'Bearer realm="projects", error="invalid_token"',
  },
  RateLimit: {
    description: 'How many requests are left (`r`), and in how many seconds all are again (`t`).',
    required: true,
    schema: { type: 'string', pattern: '^"default";r=[0-9]+;t=[0-9]+$' },
    example: '"default";r=7;t=12',
  },
  'RateLimit-Policy': {
    description: 'How many requests (`q`) a caller has in how many seconds (`w`).',
    required: true,
    schema: { type: 'string', pattern: '^"default";q=[0-9]+;w=[0-9]+$' },
    example: '"default";q=100;w=60',
  },
  'Content-Disposition': {
    description: 'A name for the file.',
    required: true,
    schema: { type: 'string' },
    example: 'attachment; filename="projects-2026-01-31T120000Z.ndjson"',
  },
  Allow: {
    description: 'The methods that the path takes.',
    required: true,
    schema: { type: 'string' },
    example: 'GET, HEAD, OPTIONS, POST',
  },
} as const;

/**
 * Adds to a document of `SwaggerModule.createDocument` the shared headers and examples to which the
 * routes of this package refer. Without them its references lead nowhere, and code generators stop.
 * It adds only what is referred to, and keeps what the host has under the same name.
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
