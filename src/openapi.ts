import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Express, Request } from 'express';
import helmet from 'helmet';
import { stringify } from 'yaml';
import { KEY_LIFETIME_HOURS } from './db/factories/idempotency.factory.js';
import { forwardedPrefixOf } from './http/answers/public-path.js';
import { completeOpenApiDocument } from './http/contract/openapi-components.js';

const VERSION = '1.0.0';

const DESCRIPTION = `
A catalogue of projects and the technologies they use.

**Answers.** Success is \`{ "success": true, "data": … }\`; lists add \`meta\`. Failure is a problem
(RFC 9457, \`application/problem+json\`) with \`"success": false\` and a stable \`code\` to decide by:
the schema ProblemCode lists them all. Unknown fields and unknown query parameters are refused by
name, and so is a parameter given twice. Times are ISO 8601, UTC, to the millisecond.

**Any path.** Paths are case-sensitive and have no trailing slash; another is 404 \`route_not_found\`.
\`HEAD\` works wherever \`GET\` does, \`OPTIONS\` answers 204 with \`Allow\`, and another method 405
\`method_not_allowed\` with \`Allow\`. A request that is broken, late or too large before any route
sees it is 400 \`bad_request\`, 408 \`request_timeout\`, 417 \`expectation_failed\` or
431 \`headers_too_large\`; where no body is read, one that is sent is refused like any other: 400, 413
or 415.

**Tracing.** Every answer has an \`X-Request-Id\`, which names the request in the log: the caller's
own (1 to 128 letters, digits and \`_.:@=+/-\`), else the trace id of its \`traceparent\`
(W3C Trace Context), else a new UUID.

**Two writers.** The \`ETag\` of a project is its version. Send it as \`If-Match\`, and of all who hold
it one write succeeds; the others get 412.

**Retries.** A POST with an \`Idempotency-Key\` is done once however often it is sent: the first
answer is kept for ${KEY_LIFETIME_HOURS} hours, in the same transaction as what it tells of, and repeated word for word
with \`Idempotency-Replayed: true\`. Of two at once the second waits for the first. The same request is
the same method, path and query and the same JSON, whatever its white space and the order of its fields;
another under the key is 422 \`idempotency_key_reused\`. Failures are not kept: the key stays free.
Keys belong to the caller who sent them.

**Reading your writes.** Where the operator has set up read replicas, a read may be answered by one, and be
a moment older than the last write. Every write then answers \`X-Consistency-Token\`. A read that sends it
contains that write and all before it. Keep the last token you got, or pass it on to whoever reads next. It
is opaque; anything else in its place is 400 \`invalid_header\`. The change feed and the export always read
the primary.

**Callers.** Where the operator has turned authentication on, every route but \`/health/*\` needs
\`Authorization: Bearer\` with an API key or a token (RFC 6750). \`GET\` and \`HEAD\` need the scope
\`projects:read\`, all other methods \`projects:write\`. Without a valid one the answer is 401 \`unauthorized\`,
without the scope 403 \`insufficient_scope\`, both with \`WWW-Authenticate\`. While it cannot be verified who
asks, it is 503 \`authentication_unavailable\`: keep the token and try again. Two \`Authorization\`
headers are 400 \`bad_request\`. A key or token is read from that header only.

**Limits.** The operator may limit the requests of each caller. Then every answer says what is left, in
\`RateLimit\` and \`RateLimit-Policy\` (draft-ietf-httpapi-ratelimit-headers-10), and one more is 429
\`too_many_requests\` with \`Retry-After\`. When there are more requests at once than the service can
serve, the others get 503 \`overloaded\` after a second; \`/health/*\` still answers. Answers of 4xx come
a second later too while there are more than a thousand of them a second.

**Waiting.** A 503 has \`Retry-After\`: nothing was kept waiting without bound, and the same request
may succeed then.
`.trim();

/** The OpenAPI document of the application's routes; needs no database and no initialised application. */
export function createOpenApiDocument(app: NestExpressApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.0.3')
    .setTitle('Projects Service')
    .setDescription(DESCRIPTION)
    .setVersion(VERSION)
    .addBearerAuth(BEARER, 'bearer')
    .addSecurityRequirements('bearer')
    .addServer('/', 'The service that serves this document')
    .addTag('projects', 'The projects of the catalogue')
    .addTag('technologies', 'What the projects are made with')
    .addTag('changes', 'What was done to the projects, when and by whom')
    .addTag('health', 'For the platform that runs the service')
    .build();
  const document = SwaggerModule.createDocument(app, config);
  closeRequestBodies(document);
  const { openapi, info, tags, paths, components, ...rest } = completeOpenApiDocument(document);
  return { openapi, info, tags, ...rest, paths, components };
}

/** Says of every body what the validation pipe does: a field that the schema does not name is refused. */
function closeRequestBodies(document: OpenAPIObject): void {
  const bodies = Object.values(document.paths)
    .flatMap((path) => [path.post, path.put, path.patch, path.delete])
    .map((operation) => operation?.requestBody)
    .filter((body) => body !== undefined && 'content' in body);
  for (const { schema } of bodies.flatMap((body) => Object.values(body.content))) {
    const name = schema && '$ref' in schema ? schema.$ref.split('/').at(-1)! : '';
    Object.assign(document.components!.schemas![name] ?? {}, { additionalProperties: false });
  }
}

const BEARER = {
  type: 'http',
  scheme: 'bearer',
  description:
    'An API key, or a token of the issuer that the service trusts. Needed if the operator has set `AUTH_MODE`.',
} as const;

/** The document as YAML, as it is served and stored in docs/. */
export function openApiYaml(document: Partial<OpenAPIObject>): string {
  // A document may hold one object in several places, which would become anchors and aliases.
  return stringify(JSON.parse(JSON.stringify(document)), { lineWidth: 100 });
}

/** Names the prefix that a trusted proxy has removed as the server, so that its clients add it. */
function underForwardedPrefix(req: Request, document: OpenAPIObject): OpenAPIObject {
  const prefix = forwardedPrefixOf(req);
  if (!prefix) return document;
  return { ...document, servers: document.servers!.map((server) => ({ ...server, url: prefix })) };
}

/** The Swagger UI at /docs, the document at /docs/openapi.json and /docs/openapi.yaml. */
export function serveDocs(app: NestExpressApplication): void {
  app.use(
    '/docs',
    helmet({
      strictTransportSecurity: false, // for whoever ends TLS to say
      // Over plain HTTP browsers ignore both, and complain on the console.
      crossOriginOpenerPolicy: false,
      originAgentCluster: false,
      contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY_POLICY },
    }),
  );
  let document: OpenAPIObject | undefined;
  const builtOnce = () => (document ??= createOpenApiDocument(app));
  SwaggerModule.setup('docs', app, builtOnce, {
    jsonDocumentUrl: 'docs/openapi.json',
    raw: ['json'], // the module would build the YAML at each request
    patchDocumentOnRequest: (req, _res, built) => underForwardedPrefix(req as Request, built),
    customSiteTitle: 'Projects Service',
    customCss: STYLE,
    swaggerOptions: {
      tryItOutEnabled: true,
      displayRequestDuration: true,
      defaultModelExpandDepth: 3,
      defaultModelsExpandDepth: 0,
      validatorUrl: null, // or the page would ask a server elsewhere for a badge
    },
  });
  serveYaml(app, builtOnce);
}

/** Serves the YAML. All of it but the servers is the same for every request, and is built once. */
function serveYaml(app: NestExpressApplication, document: () => OpenAPIObject): void {
  let restText: string | undefined;
  const express: Express = app.getHttpAdapter().getInstance();
  express.get('/docs/openapi.yaml', (req, res) => {
    const { openapi, servers, ...rest } = underForwardedPrefix(req, document());
    restText ??= openApiYaml(rest);
    res.type('text/yaml').send(openApiYaml({ openapi, servers }) + restText);
  });
}

/** Without what says nothing here: a bar with a logo, and a column for links between operations. */
const STYLE = `
  .swagger-ui .topbar, .swagger-ui .response-col_links { display: none }
  .swagger-ui .info { margin: 30px 0 }
  .swagger-ui .markdown code, .swagger-ui .renderedMarkdown code {
    color: inherit; font-weight: 400; padding: 1px 4px; background: rgba(0, 0, 0, 0.06)
  }
`;

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
