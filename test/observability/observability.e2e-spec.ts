import { hash } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { jest } from '@jest/globals';
import postgres from 'postgres';
import { Metrics } from '../../src/observability/metrics.js';
import { serveMetrics } from '../../src/observability/metrics-endpoint.js';
import { aProject } from '../support/builders.js';
import { sleep, until, waitingForLocks } from '../support/connections.js';
import { openEvents } from '../support/event-client.js';
import { exchange } from '../support/raw-http.js';
import { forgeRequest, MARKER } from '../support/hostile-requests.js';
import { startService, type TestService } from '../support/service.js';

const KEY = 'the-secret-key';
const AUTH_API_KEYS = `ci:read+write:${hash('sha256', KEY)}`;
const headers = { Authorization: `Bearer ${KEY}` };

let service: TestService;
beforeAll(async () => {
  const AUTH_MODE = 'api-key';
  service = await startService({ AUTH_MODE, AUTH_API_KEYS, DATABASE_MAX_CONNECTIONS: '2' });
});
afterAll(() => service.close());
afterEach(() => jest.restoreAllMocks());

async function metricsText({ url } = service): Promise<string> {
  return await (await fetch(`${url}/metrics`)).text();
}

/** Parses the samples by name and labels. Throws for a line that is not in the format. */
function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.trimEnd().split('\n')) {
    if (/^# (HELP|TYPE) \w+ .+$/.test(line) || line === '') continue;
    const match = /^(\w+(?:\{(?:\w+="[^"\\\n]*",?)*\})?) (-?[\d.e+-]+|\+Inf|Nan)$/.exec(line);
    if (!match) throw new Error(`not a sample: ${line}`);
    samples.set(match[1]!, Number(match[2]));
  }
  return samples;
}

async function sample(name: string): Promise<number> {
  return samplesOf(await metricsText()).get(name) ?? 0;
}

describe('/metrics', () => {
  it('needs no key, is text of version 0.0.4, and supports only GET and HEAD', async () => {
    const response = await fetch(`${service.url}/metrics`);
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
    ]);
    expect(samplesOf(await response.text()).size).toBeGreaterThan(10);
    const head = await fetch(`${service.url}/metrics`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect((await fetch(`${service.url}/metrics`, { method: 'POST' })).status).toBe(404);
    expect((await fetch(`${service.url}/metrics/x`)).status).toBe(404);
  });

  it('counts requests by method, route and status', async () => {
    const name = (status: number) =>
      `http_request_duration_seconds_count{method="GET",route="/api/projects/:id",status="${status}"}`;
    const before = [await sample(name(404)), await sample(name(401))];
    const url = `${service.url}/api/projects/00000000-0000-4000-8000-000000000000`;
    for (let i = 0; i < 3; i++) await (await fetch(url, { headers })).text();
    await (await fetch(url)).text();
    await until(async () => (await sample(name(404))) === before[0]! + 3);
    await until(async () => (await sample(name(401))) === before[1]! + 1);
  });

  it('counts statements by their first word, without their text', async () => {
    const name = 'db_statement_seconds_count{operation="select"}';
    const before = await sample(name);
    await (await fetch(`${service.url}/api/projects?q=${MARKER}`, { headers })).text();
    expect(await sample(name)).toBeGreaterThan(before);
    expect(await metricsText()).not.toMatch(new RegExp(`${MARKER}|from projects`, 'i'));
  });

  it('contains the number of callers that wait for a connection, and their waiting time', async () => {
    const sql = postgres(service.database.url, { max: 1, onnotice: () => {} });
    const waits = await sample('db_acquire_seconds_count');
    const answers = await sql.begin(async (tx) => {
      await tx`lock table projects in access exclusive mode`;
      const all = Array.from({ length: 5 }, (_, i) =>
        fetch(`${service.url}/api/projects?limit=${i + 1}`, { headers }),
      );
      await until(async () => (await sample('db_pool_sessions{state="open"}')) === 2);
      // Housekeeping may wait at the same time as the five requests.
      await until(async () => (await sample('db_pool_waiting')) >= 3);
      expect(await sample('db_pool_sessions{state="idle"}')).toBe(0);
      return { all };
    });
    for (const answer of answers.all) await (await answer).text();
    await until(async () => (await sample('db_pool_waiting')) === 0);
    expect(await sample('db_acquire_seconds_count')).toBeGreaterThanOrEqual(waits + 3);
    await sql.end();
  });

  it('contains the delay of the event loop and of the change feed', async () => {
    await metricsText();
    await sleep(100); // it measures the time between two ticks, and starts again at each scrape
    const end = performance.now() + 300;
    while (performance.now() < end); // nothing else runs at the same time
    await sleep(50);
    expect(await sample('nodejs_eventloop_delay_seconds{quantile="1"}')).toBeGreaterThan(0.1);

    const stream = await openEvents(`${service.url}/api/projects/changes`, headers);
    await fetch(`${service.url}/api/projects`, {
      method: 'POST',
      headers: { ...headers, 'Content-Type': 'application/json' },
      body: JSON.stringify(aProject()),
    });
    await stream.received(1);
    stream.leave();
    await until(async () => (await metricsText()).includes('changes_feed_lag_seconds '));
    expect(await sample('changes_feed_lag_seconds')).toBeLessThan(60);
  });

  it('has a limited set of labels, whatever is requested', async () => {
    const item = '/api/projects/00000000-0000-4000-8000-000000000001';
    for (let seed = 0; seed < 300; seed++) {
      const { head, body } = forgeRequest(seed, item);
      await exchange(service.url, head, body);
    }
    const text = await metricsText();
    expect(text).not.toContain(MARKER);
    const values = (label: string) =>
      new Set([...text.matchAll(RegExp(`\\b${label}="([^"]*)"`, 'g'))].map(([, value]) => value));
    for (const method of values('method'))
      expect(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other']).toContain(
        method,
      );
    for (const route of values('route'))
      expect(route).toMatch(/^(none|\/(api|health|docs)[\w/:.-]*)$/);
    for (const status of values('status')) expect(status).toMatch(/^(\d{3}|aborted)$/);
  });

  it('may have a separate port, and then no other port serves it', async () => {
    const own = await startService({ METRICS_PORT: '1' });
    expect((await fetch(`${own.url}/metrics`)).status).toBe(404);
    await own.close();
    const { address, close } = await serveMetrics(service.app.get(Metrics), 0, '127.0.0.1');
    const url = `http://127.0.0.1:${address.port}`;
    const response = await fetch(`${url}/metrics`);
    expect(samplesOf(await response.text()).size).toBeGreaterThan(10);
    expect((await fetch(`${url}/api/projects`)).status).toBe(404);
    close();
  });
});

describe('the log', () => {
  it('has a line for each request, with route, status and actor, and without values, keys or queries', async () => {
    const lines: unknown[] = [];
    jest
      .spyOn(Logger.prototype, 'log')
      .mockImplementation((line: unknown) => void lines.push(line));
    jest.spyOn(Logger, 'isLevelEnabled').mockReturnValue(true);
    const logged = await startService({ AUTH_MODE: 'api-key', AUTH_API_KEYS, LOG_FORMAT: 'json' });
    const traceId = 'a'.repeat(32);
    const traceparent = `00-${traceId}-${'b'.repeat(16)}-01`;
    const ask = async (path: string, given: Record<string, string>) =>
      (await fetch(logged.url + path, { headers: given })).text();
    await ask(`/api/projects?q=${MARKER}`, { ...headers, 'X-Request-Id': 'one' });
    await ask(`/api/${MARKER}`, { Authorization: `Bearer ${MARKER}`, traceparent });
    await until(() => lines.filter((line) => typeof line === 'object').length === 2);
    expect(lines.filter((line) => typeof line === 'object')).toEqual([
      {
        ...{ method: 'GET', route: '/api/projects', status: 200, ms: expect.any(Number) },
        ...{ actor: 'ci', requestId: 'one' },
      },
      {
        ...{ method: 'GET', route: 'none', status: 404, ms: expect.any(Number), actor: '' },
        ...{ requestId: traceId, traceId },
      },
    ]);
    expect(JSON.stringify(lines)).not.toMatch(new RegExp(`${MARKER}|${KEY}`));
    await logged.close();
  });

  it('contains slow statements without values, each at most once a second', async () => {
    const lines: { slowStatement?: string; pid?: number }[] = [];
    const warn = jest.spyOn(Logger.prototype, 'warn');
    warn.mockImplementation((line: unknown) => void lines.push(line as (typeof lines)[0]));
    const slow = await startService({ DATABASE_SLOW_STATEMENT_MS: '1' });
    const sql = postgres(slow.database.url, { max: 1, onnotice: () => {} });
    const answers = await sql.begin(async (tx) => {
      await tx`lock table projects in access exclusive mode`;
      const all = [1, 2].map(() => fetch(`${slow.url}/api/projects?technology=${MARKER}`));
      await until(async () => (await waitingForLocks(tx)).length === 2);
      const pids = await waitingForLocks(tx);
      await sleep(10); // longer than DATABASE_SLOW_STATEMENT_MS
      return { all, pids };
    });
    for (const answer of answers.all) expect((await answer).status).toBe(200);
    const found = () =>
      lines.filter(({ slowStatement }) => slowStatement?.includes('project_technologies'));
    await until(() => found().length > 0);
    expect(found()).toEqual([
      {
        slowStatement: expect.stringContaining('$1'),
        ms: expect.any(Number),
        rows: 0,
        pid: expect.any(Number),
      },
    ]);
    expect(answers.pids).toContain(found()[0]!.pid);
    expect(JSON.stringify(lines)).not.toContain(MARKER);
    await sql.end();
    await slow.close();
  });
});
