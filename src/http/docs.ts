import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';

const VERSION = '1.0.0';

const DESCRIPTION = `
A catalogue of projects and the technologies they use.

**Answers.** Success is \`{ "success": true, "data": … }\`; lists add \`meta\`. Failure is a problem
(RFC 9457, \`application/problem+json\`) with \`"success": false\` and a stable \`code\` to decide by.
Every answer has an \`X-Request-Id\`: the caller's own, if it is sane; else the trace id of its
\`traceparent\`; else a new one. Unknown fields and unknown query parameters are refused by name.
Paths are case-sensitive and have no trailing slash. \`HEAD\` works wherever \`GET\` does, \`OPTIONS\`
answers 204 with \`Allow\`, and another method 405 with \`Allow\` (\`method_not_allowed\`).

**Two writers.** The ETag of a project is its version. Send it as \`If-Match\` and of all who hold it
one write succeeds; the others get 412.

**Waiting.** A 503 has \`Retry-After\`: nothing was kept waiting without bound, and the same request may
succeed then.
`.trim();

/** The OpenAPI document of the application's routes; needs no database. */
export function createOpenApiDocument(app: NestExpressApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('Projects Service')
    .setDescription(DESCRIPTION)
    .setVersion(VERSION)
    .addTag('projects', 'The projects of the catalogue')
    .addTag('health', 'For the platform that runs the service')
    .build();
  const document = SwaggerModule.createDocument(app, config);
  document.components = { ...document.components, headers: HEADERS };
  return document;
}

const HEADERS = {
  'X-Request-Id': { description: 'Names the request in the log.', schema: { type: 'string' } },
  ETag: {
    description: 'The version of the project, in quotes.',
    schema: { type: 'string', example: '"1"' },
  },
  Location: {
    description: 'The path of the project.',
    schema: { type: 'string', format: 'uri-reference' },
  },
  'Retry-After': {
    description: 'Seconds to wait before the request is tried again.',
    schema: { type: 'integer' },
  },
} as const;

/** The Swagger UI at /docs, the document at /docs/openapi.json and /docs/openapi.yaml. */
export function serveDocs(app: NestExpressApplication): void {
  app.use(
    '/docs',
    helmet({
      strictTransportSecurity: false, // for whoever ends TLS to say
      contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY_POLICY },
    }),
  );
  SwaggerModule.setup('docs', app, () => createOpenApiDocument(app), {
    jsonDocumentUrl: 'docs/openapi.json',
    yamlDocumentUrl: 'docs/openapi.yaml',
    customSiteTitle: 'Projects Service',
    swaggerOptions: {
      tryItOutEnabled: true,
      displayRequestDuration: true,
      persistAuthorization: true,
    },
  });
}

/** What the Swagger UI needs, all of it from here; it styles its elements inline. */
const CONTENT_SECURITY_POLICY = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'", "'unsafe-inline'"],
  imgSrc: ["'self'", 'data:'],
  connectSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};
