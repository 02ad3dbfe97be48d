import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import express, { type Express, type RequestHandler } from 'express';
import { AppModule } from './app.module.js';
import { type Environment, listOf } from './config/environment.js';
import { answerBrokenRequests } from './http/server/broken-requests.js';
import { allowOrigins } from './http/server/cors.js';
import { overloadProtection } from './http/server/overload.js';
import { serveDocs } from './openapi.js';
import { LeanExpressAdapter } from './http/server/express-adapter.js';
import { Metrics } from './observability/metrics.js';
import { metricsEndpoint } from './observability/metrics-endpoint.js';
import { isTracing, requestSpans } from './observability/spans.js';
import { type OnAnswered, observeAnswers } from './http/server/answered.js';
import { allowJsonText } from './http/answers/json-text.js';
import { ProblemFilter } from './http/problems/problem.filter.js';
import { handlePipelinedInTurn } from './http/server/pipelining.js';
import { requestId } from './http/server/request-id.js';
import { requestLog } from './http/server/request-log.js';
import { createLogger } from './observability/logger.js';

/** The service, ready to listen; connects to nothing yet. */
export async function createApplication(environment: Environment): Promise<NestExpressApplication> {
  const adapter = new LeanExpressAdapter(createExpress(environment));
  const app = await NestFactory.create<NestExpressApplication>(
    AppModule.forRoot(environment),
    adapter,
    {
      bodyParser: false,
      abortOnError: false,
      logger: createLogger(environment),
    },
  );
  app.use(requestId);
  if (isTracing()) app.use(requestSpans());
  const metrics = app.get(Metrics);
  const observers: OnAnswered[] = [(answered) => metrics.observe(answered)];
  if (Logger.isLevelEnabled('log')) observers.push(requestLog(environment.LOG_FORMAT));
  app.use(observeAnswers(observers));
  if (environment.METRICS_PORT === undefined) app.use(metricsAt(metrics));
  app.use(
    overloadProtection({
      maxConcurrent: environment.MAX_CONCURRENT_REQUESTS,
      holdMs: environment.OVERLOAD_HOLD_MS,
    }),
  );
  allowOrigins(app, listOf(environment.CORS_ORIGINS));
  serveDocs(app);
  app.useGlobalFilters(new ProblemFilter());
  answerBrokenRequests(app.getHttpServer());
  handlePipelinedInTurn(app.getHttpServer());
  return app;
}

/** Another method goes on, and finds no route. */
function metricsAt(metrics: Metrics): RequestHandler {
  const answer = metricsEndpoint(metrics);
  return (req, res, next) => {
    const isRight = req.path === '/metrics' && ['GET', 'HEAD'].includes(req.method);
    if (isRight) answer(req, res, next);
    else next();
  };
}

/** One URL for each resource, and ETags from versions instead of a hash of every answer. Set before Nest makes the router. */
function createExpress({ TRUST_PROXY }: Environment): Express {
  const app = express()
    .set('case sensitive routing', true)
    .set('strict routing', true)
    .set('etag', false)
    .set('trust proxy', trustedProxies(TRUST_PROXY))
    .disable('x-powered-by');
  // What is not modified the routes say: Express would answer 304 to `If-None-Match: *` on any of them.
  Object.defineProperty(app.request, 'fresh', { value: false });
  allowJsonText(app);
  return app;
}

/** The value in the form that Express takes. */
function trustedProxies(value: string): boolean | number | string {
  if (value === 'true' || value === 'false') return value === 'true';
  return /^\d+$/.test(value) ? Number(value) : value;
}
