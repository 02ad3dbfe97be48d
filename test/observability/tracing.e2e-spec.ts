import { AsyncLocalStorage } from 'node:async_hooks';
import { readFile } from 'node:fs/promises';
import {
  type Context,
  context,
  type ContextManager,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanOptions,
  type TextMapPropagator,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { isTracing } from '../../src/observability/spans.js';
import { until } from '../support/connections.js';
import { MARKER } from '../support/hostile-requests.js';
import { aToken, createSigningKey, startIssuer } from '../support/issuer.js';
import { startService } from '../support/service.js';

interface Made {
  name: string;
  attributes: Record<string, unknown>;
  traceId: string;
  spanId: string;
  parent?: string;
  ended: boolean;
  failed: boolean;
}

const made: Made[] = [];
let count = 0;

/** A minimal SDK that shows what the service creates: spans, contexts and traceparent. */
const tracer = {
  startSpan(name: string, options: SpanOptions = {}, parent: Context = context.active()): Span {
    const above = trace.getSpanContext(parent);
    const span: Made = {
      ...{ name, attributes: { ...options.attributes }, ended: false, failed: false },
      traceId: above?.traceId ?? 'f'.repeat(32),
      spanId: String(++count).padStart(16, '0'),
      parent: above?.spanId,
    };
    made.push(span);
    const itself = {
      spanContext: () => ({ traceId: span.traceId, spanId: span.spanId, traceFlags: 1 }),
      isRecording: () => !span.ended,
      setAttribute: (key: string, value: unknown) => void (span.attributes[key] = value),
      setAttributes: (more: object) => void Object.assign(span.attributes, more),
      updateName: (to: string) => void (span.name = to),
      setStatus: () => void (span.failed = true),
      end: () => void (span.ended = true),
    };
    return itself as unknown as Span;
  },
} as Tracer;

const contexts = new AsyncLocalStorage<Context>();
const manager: ContextManager = {
  active: () => contexts.getStore() ?? ROOT_CONTEXT,
  with: (active, work, self, ...args) => contexts.run(active, () => work.call(self!, ...args)),
  bind: (_active, target) => target,
  enable: () => manager,
  disable: () => manager,
};
const propagator: TextMapPropagator = {
  inject(active, carrier, setter) {
    const { traceId, spanId } = trace.getSpanContext(active) ?? {};
    if (traceId) setter.set(carrier, 'traceparent', `00-${traceId}-${spanId}-01`);
  },
  extract(into, carrier, getter) {
    const [, traceId, spanId] = String(getter.get(carrier, 'traceparent') ?? '').split('-');
    if (!traceId || !spanId) return into;
    return trace.setSpanContext(into, { traceId, spanId, traceFlags: 1, isRemote: true });
  },
  fields: () => ['traceparent'],
};

const traceId = 'a'.repeat(32);
const traceparent = `00-${traceId}-${'b'.repeat(16)}-01`;

beforeEach(() => {
  made.length = 0;
});
afterEach(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

function loadSdk(): void {
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
  context.setGlobalContextManager(manager);
  propagation.setGlobalPropagator(propagator);
}

it('the service creates spans of requests and statements in the trace of the caller', async () => {
  loadSdk();
  const service = await startService();
  await (
    await fetch(`${service.url}/api/projects?q=${MARKER}`, { headers: { traceparent } })
  ).text();
  await until(() => made.some(({ name, ended }) => name === 'GET /api/projects' && ended));
  const request = made.find(({ name }) => name === 'GET /api/projects')!;
  expect(request).toMatchObject({
    traceId,
    parent: 'b'.repeat(16),
    attributes: {
      'http.request.method': 'GET',
      'http.route': '/api/projects',
      'http.response.status_code': 200,
    },
    failed: false,
  });
  const statements = made.filter(({ parent }) => parent === request.spanId);
  expect(statements.length).toBeGreaterThan(0);
  for (const { name, attributes, ended, traceId: trace } of statements) {
    expect(name).toMatch(/^[A-Z]+$/);
    expect(attributes).toMatchObject({ 'db.system.name': 'postgresql' });
    expect([ended, trace]).toEqual([true, traceId]);
  }
  expect(JSON.stringify(made)).not.toContain(MARKER);
  await service.close();
});

it('the service continues the trace at the issuer of tokens', async () => {
  loadSdk();
  const key = await createSigningKey('first');
  const issuer = await startIssuer(key);
  const service = await startService(issuer.variables);
  const headers = { traceparent, Authorization: `Bearer ${await aToken(key)}` };
  expect((await fetch(`${service.url}/api/projects`, { headers })).status).toBe(200);
  expect(issuer.lastHeaders!.traceparent).toMatch(`00-${traceId}-`);
  await service.close();
  await issuer.close();
});

it('the service adds its route to the span of an instrumentation and creates no other', async () => {
  loadSdk();
  const service = await startService();
  const server = service.app.getHttpServer() as { listeners(name: string): unknown[] };
  const [listener] = server.listeners('request') as ((...args: unknown[]) => void)[];
  const outer = tracer.startSpan('of the instrumentation');
  (service.app.getHttpServer() as NodeJS.EventEmitter)
    .removeAllListeners('request')
    .on('request', (...args) =>
      context.with(trace.setSpan(ROOT_CONTEXT, outer), () => listener!(...args)),
    );
  await (await fetch(`${service.url}/api/technologies`)).text();
  await until(() => 'http.route' in made[0]!.attributes);
  expect(made[0]!.attributes).toEqual({ 'http.route': '/api/technologies' });
  expect(made.filter(({ name }) => name.startsWith('GET'))).toEqual([]);
  await service.close();
});

it('the service creates nothing without an SDK, and works with the API of old SDKs', async () => {
  expect(isTracing()).toBe(false);
  const service = await startService();
  await (await fetch(`${service.url}/api/projects`, { headers: { traceparent } })).text();
  expect(made).toEqual([]);
  await service.close();
  // A service on version 1.10 does not see an SDK that version 1.9 has registered. Nothing would arrive, without a
  // message.
  const { dependencies } = JSON.parse(await readFile('package.json', 'utf8')) as {
    dependencies: Record<string, string>;
  };
  expect(dependencies['@opentelemetry/api']).toMatch(/^~1\.9\.\d+$/);
});
