import type { INestApplication } from '@nestjs/common';

/** What a page's script may read of an answer, beyond its body. */
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
];

/** Lets pages of these origins use the API. OPTIONS goes on to the route, which answers 204 with Allow. */
export function allowOrigins(app: INestApplication, origins: string[]): void {
  if (origins.length === 0) return;
  app.enableCors({
    origin: origins,
    exposedHeaders: EXPOSED,
    maxAge: 600,
    preflightContinue: true,
  });
}
