import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import {
  context,
  propagation,
  ProxyTracerProvider,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import type { Request, RequestHandler, Response } from 'express';
import { STATEMENT_CHANNEL, type StatementEvent } from '../db/observed.js';
import { routeOf } from '../http/server/answered.js';
import { noteTraceId } from '../http/server/request-id.js';

const NAME = 'projects-service';

/** True if an OpenTelemetry SDK was loaded (`node --import`) before the application started. Without one there are no spans. */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider();
  return !(provider instanceof ProxyTracerProvider) || Boolean(provider.getDelegateTracer(NAME));
}

/**
 * Creates a span for each request, as a child of the client's `traceparent`. If an instrumentation has
 * created a span already, it sets the route on that span instead.
 */
export function requestSpans(): RequestHandler {
  const tracer = trace.getTracer(NAME);
  return (req, res, next) => {
    const active = trace.getActiveSpan();
    if (active) {
      noteTraceId(req, active.spanContext().traceId);
      res.once('close', () => active.setAttribute('http.route', routeOf(req)));
      return next();
    }
    const parent = propagation.extract(context.active(), req.headers);
    const attributes = { 'http.request.method': req.method };
    const span = tracer.startSpan(req.method, { kind: SpanKind.SERVER, attributes }, parent);
    noteTraceId(req, span.spanContext().traceId);
    res.once('close', () => {
      span.updateName(`${req.method} ${routeOf(req)}`);
      span.setAttributes(outcomeOf(req, res));
      if (res.statusCode >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    });
    context.with(trace.setSpan(parent, span), next);
  };
}

function outcomeOf(req: Request, res: Response) {
  return { 'http.route': routeOf(req), 'http.response.status_code': res.statusCode };
}

/**
 * Creates a span for each statement of a traced request. Reads that are batched into one statement have
 * one span, in the trace of the first request of the batch.
 */
@Injectable()
export class StatementSpans implements OnApplicationShutdown {
  private readonly tracer = trace.getTracer(NAME);

  constructor() {
    if (isTracing()) subscribe(STATEMENT_CHANNEL, this.onStatement);
  }

  onApplicationShutdown(): void {
    unsubscribe(STATEMENT_CHANNEL, this.onStatement);
  }

  private readonly onStatement = (message: unknown): void => {
    if (!trace.getActiveSpan()?.isRecording()) return;
    const { text, startedAt, ms, error } = message as StatementEvent;
    const operation = /\w+/.exec(text)?.[0].toUpperCase() ?? 'STATEMENT';
    const span = this.tracer.startSpan(operation, {
      kind: SpanKind.CLIENT,
      startTime: startedAt,
      attributes: { 'db.system.name': 'postgresql', 'db.query.text': text },
    });
    if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
    span.end(startedAt + ms);
  };
}
