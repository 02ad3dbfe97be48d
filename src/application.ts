import { Logger } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import express, { type Express, type RequestHandler } from 'express';
import { AppModule } from './app.module.js';
import { meshAddressOf } from './config/derived-settings.js';
import type { Environment } from './config/environment.js';
import { listOf } from './config/texts.js';
import { ExplainedError } from './db/explain-error.js';
import { allowOrigins } from './http/server/cors.js';
import { overloadProtection } from './http/server/overload.js';
import { serveDocs } from './openapi.js';
import { leaveConditionsToRoutes } from './http/internals/express.js';
import { LeanExpressAdapter } from './http/server/express-adapter.js';
import { attachMessages } from './mesh/message-server.js';
import { Metrics } from './observability/metrics.js';
import { metricsEndpoint, serveMetrics } from './observability/metrics-endpoint.js';
import { isTracing, requestSpans } from './observability/spans.js';
import { type OnAnswered, observeAnswers } from './http/server/answered.js';
import { allowJsonText } from './http/answers/json-text.js';
import { messageLog } from './http/messages/message-log.js';
import type { OnAnsweredMessage } from './http/messages/message-request.js';
import { ProblemFilter } from './http/contract/problem.filter.js';
import { bytesOf } from './http/server/body-parser.js';
import { requestId } from './http/server/request-id.js';
import { requestLog } from './http/server/request-log.js';
import { listenFailure } from './process/listen-failure.js';
import { createLogger } from './observability/logger.js';

/** Creates the service, ready to listen. It does not connect to anything yet. */
export async function createApplication(
  environment: Environment,
  { graceMs = 0 } = {},
): Promise<NestExpressApplication> {
  const adapter = new LeanExpressAdapter(createExpress(environment), {
    graceMs,
    keepAliveTimeoutMs: environment.KEEP_ALIVE_TIMEOUT_MS,
    sendTimeoutMs: environment.SEND_TIMEOUT_MS,
  });
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
  await serveMessages(app, environment);
  return app;
}

async function serveMessages(app: NestExpressApplication, environment: Environment): Promise<void> {
  const address = meshAddressOf(environment);
  if (!address) return;
  const metrics = app.get(Metrics);
  const observers: OnAnsweredMessage[] = [(answered) => metrics.observeMessage(answered)];
  if (Logger.isLevelEnabled('log')) observers.push(messageLog(environment.LOG_FORMAT));
  const maxBytes = bytesOf(environment.BODY_LIMIT);
  await attachMessages(app, { address, queue: 'projects', maxBytes, observers });
}

/** Answers GET and HEAD of /metrics. Other methods continue and find no route. */
function metricsAt(metrics: Metrics): RequestHandler {
  const answer = metricsEndpoint(metrics);
  return (req, res, next) => {
    const isRight = req.path === '/metrics' && ['GET', 'HEAD'].includes(req.method);
    if (isRight) answer(req, res, next);
    else next();
  };
}

/** Listens and returns the URL. */
export async function listen(
  app: NestExpressApplication,
  { HOST, PORT }: Environment,
): Promise<string> {
  try {
    await app.listen(PORT, HOST);
  } catch (error) {
    throw cannotListen(error, HOST, PORT, 'PORT');
  }
  return await app.getUrl();
}

/** Serves /metrics on METRICS_PORT if it is set. Resolves with a function that closes the server. */
export async function openMetrics(
  app: NestExpressApplication,
  { METRICS_PORT, HOST }: Environment,
): Promise<() => void> {
  if (METRICS_PORT === undefined) return () => undefined;
  try {
    const { address, close } = await serveMetrics(app.get(Metrics), METRICS_PORT, HOST);
    new Logger('Metrics').log(`/metrics is served on port ${address.port}`);
    return close;
  } catch (error) {
    throw cannotListen(error, HOST, METRICS_PORT, 'METRICS_PORT');
  }
}

function cannotListen(cause: unknown, host: string, port: number, variable: string): Error {
  const reason = listenFailure(cause, { host: 'HOST', port: variable });
  return new ExplainedError(`Cannot listen on ${host}:${port}: ${reason}`, { cause });
}

/**
 * Creates Express with exact URLs, so that each resource has only one, and without ETags by hash, because ours
 * come from versions. These settings must be set before Nest creates the router.
 */
function createExpress({ TRUST_PROXY }: Environment): Express {
  const app = express()
    .set('case sensitive routing', true)
    .set('strict routing', true)
    .set('etag', false)
    .set('trust proxy', trustedProxies(TRUST_PROXY))
    .disable('x-powered-by');
  leaveConditionsToRoutes(app);
  allowJsonText(app);
  return app;
}

/** Converts TRUST_PROXY to the type that Express expects. */
function trustedProxies(value: string): boolean | number | string {
  if (value === 'true' || value === 'false') return value === 'true';
  return /^\d+$/.test(value) ? Number(value) : value;
}
