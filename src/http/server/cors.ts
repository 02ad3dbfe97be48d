import type { INestApplication } from '@nestjs/common';

/** The response headers that scripts of a web page may read: all that the OpenAPI document has. */
const EXPOSED = [
  'ETag',
  'Location',
  'Link',
  'Retry-After',
  'X-Request-Id',
  'RateLimit',
  'RateLimit-Policy',
  'Idempotency-Replayed',
  'X-Consistency-Token',
  'WWW-Authenticate',
  'Content-Disposition',
  'Accept',
];

/** Allows web pages of these origins to use the API. OPTIONS continues to the route, which answers 204 with Allow. */
export function allowOrigins(app: INestApplication, origins: string[]): void {
  if (origins.length === 0) return;
  app.enableCors({
    origin: origins,
    exposedHeaders: EXPOSED,
    maxAge: 600,
    preflightContinue: true,
  });
}
