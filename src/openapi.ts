import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Express, Request } from 'express';
import helmet from 'helmet';
import { stringify } from 'yaml';
import { forwardedPrefixOf } from './http/answers/public-path.js';
import { completeOpenApiDocument } from './http/contract/openapi-components.js';

const VERSION = '1.0.0';

const DESCRIPTION = `
A catalogue of projects and the technologies they use.

    curl -X POST http://127.0.0.1:3000/api/projects -H 'Content-Type: application/json' \\
      -d '{ "name": "PostgreSQL", "description": "", "technologies": ["C", "SQL"] }'

A successful answer is \`{ "success": true, "data": … }\`; lists add \`meta\`. An error answer is a problem (RFC 9457)
with \`"success": false\` and a stable \`code\`; the schema ProblemCode lists all codes. If several clients write the
same project, send its \`ETag\` as \`If-Match\`. To repeat a POST safely, give it an \`Idempotency-Key\`. The rules
for every route (retries, limits, authentication, tracing) are in docs/http-api.md of the repository.
`.trim();

/** Creates the OpenAPI document of the application's routes. It needs no database and no initialised application. */
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
    .addTag('technologies', 'The technologies that projects use')
    .addTag('changes', 'The history of each project, and the feed of all changes')
    .addTag('health', 'Checks for the platform that runs the service')
    .build();
  const document = SwaggerModule.createDocument(app, config);
  closeRequestBodies(document);
  const { openapi, info, tags, paths, components, ...rest } = completeOpenApiDocument(document);
  return { openapi, info, tags, ...rest, paths: inReadingOrder(paths), components };
}

/**
 * Sorts the routes: a collection, its item, then everything else below the collection. Nest uses the order in which
 * routes match.
 */
function inReadingOrder(paths: OpenAPIObject['paths']): OpenAPIObject['paths'] {
  const key = (path: string) => path.replaceAll('{', ' ');
  return Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (key(a) < key(b) ? -1 : 1)));
}

/** Documents for every body that a field that the schema does not name is refused, as the validation does. */
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

/** Returns the document as YAML, as it is served and stored in docs/. */
export function openApiYaml(document: Partial<OpenAPIObject>): string {
  // The document may contain one object in several places. Without this option YAML would use anchors and aliases.
  return stringify(JSON.parse(JSON.stringify(document)), { lineWidth: 100 });
}

/** Adds the prefix that a trusted proxy has removed as a server, so that clients add it. */
function underForwardedPrefix(req: Request, document: OpenAPIObject): OpenAPIObject {
  const prefix = forwardedPrefixOf(req);
  if (!prefix) return document;
  return { ...document, servers: document.servers!.map((server) => ({ ...server, url: prefix })) };
}

/** Serves the Swagger UI at /docs, and the document at /docs/openapi.json and /docs/openapi.yaml. */
export function serveDocs(app: NestExpressApplication): void {
  app.use(
    '/docs',
    helmet({
      strictTransportSecurity: false, // only the server that terminates TLS can set these headers
      // Browsers ignore both headers over plain HTTP and print a warning on the console.
      crossOriginOpenerPolicy: false,
      originAgentCluster: false,
      contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY_POLICY },
    }),
  );
  let document: OpenAPIObject | undefined;
  const builtOnce = () => (document ??= createOpenApiDocument(app));
  SwaggerModule.setup('docs', app, builtOnce, {
    jsonDocumentUrl: 'docs/openapi.json',
    raw: ['json'], // otherwise the module would build the YAML at each request
    patchDocumentOnRequest: (req, _res, built) => underForwardedPrefix(req as Request, built),
    customSiteTitle: 'Projects Service',
    customCss: STYLE,
    swaggerOptions: {
      tryItOutEnabled: true,
      displayRequestDuration: true,
      defaultModelExpandDepth: 3,
      defaultModelsExpandDepth: 0,
      validatorUrl: null, // otherwise the page would request a badge from another server
    },
  });
  serveYaml(app, builtOnce);
}

/** Serves the YAML. Only the list of servers differs between requests, so the rest is built once. */
function serveYaml(app: NestExpressApplication, document: () => OpenAPIObject): void {
  let restText: string | undefined;
  const express: Express = app.getHttpAdapter().getInstance();
  express.get('/docs/openapi.yaml', (req, res) => {
    const { openapi, servers, ...rest } = underForwardedPrefix(req, document());
    restText ??= openApiYaml(rest);
    res.type('text/yaml').send(openApiYaml({ openapi, servers }) + restText);
  });
}

/** Hides parts without a use here: a bar with a logo, and a column for links between operations. */
const STYLE = `
  .swagger-ui .topbar, .swagger-ui .response-col_links { display: none }
  .swagger-ui .info { margin: 30px 0 }
  .swagger-ui .markdown code, .swagger-ui .renderedMarkdown code {
    color: inherit; font-weight: 400; padding: 1px 4px; background: rgba(0, 0, 0, 0.06)
  }
`;

/** The content sources that the Swagger UI needs. This service serves all of them, and the styles are inline. */
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
