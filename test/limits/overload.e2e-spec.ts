import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { execFileSync } from 'node:child_process';
import { hash } from 'node:crypto';
import express from 'express';
import { jest } from '@jest/globals';
import { overloadProtection, sendRefusal } from '../../src/http/server/overload.js';
import { until } from '../support/connections.js';
import { createTestDatabase } from '../support/database.js';
import { killServices, startProcess } from '../support/process.js';
import { requestText, startFlood } from '../overload/flood.js';
import { faultsOf, proveOverload } from '../overload/proof.js';

afterAll(killServices);

/** Starts the built service, which accepts this many requests at once. */
async function withBuiltService(
  capacity: number,
  variables: Record<string, string>,
  work: (service: { port: number; pid: number }) => Promise<void>,
): Promise<void> {
  const database = await createTestDatabase();
  const service = await startProcess({
    DATABASE_URL: database.url,
    MAX_CONCURRENT_REQUESTS: String(capacity),
    LOG_LEVEL: 'info', // otherwise it would not log its URL
    ...variables,
  });
  try {
    await work({ port: Number(new URL(await service.url).port), pid: service.pid });
  } finally {
    service.send('SIGTERM');
    await service.ended;
    await database.drop();
  }
}

/** Returns megabytes; it uses ps where /proc does not exist. */
const memoryOf = (pid: number) => () => {
  const kilobytes = existsSync('/proc/self/status')
    ? /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]
    : execFileSync('ps', ['-o', 'rss=', '-p', String(pid)]);
  return Math.round(Number(kilobytes) / 1024);
};

describe('ten times as many clients as the service accepts at once', () => {
  const list = { method: 'GET', target: '/api/projects?limit=1' };

  it('get answers or 503, while health checks are answered and memory is limited', async () => {
    await withBuiltService(16, {}, async ({ port, pid }) => {
      const proof = await proveOverload({
        port,
        memoryMb: memoryOf(pid),
        requests: [requestText(list)],
        capacity: 16,
        calmMs: 500,
        ms: 4000,
        normalFactor: Infinity, // their speed depends on the machine
      });
      expect(faultsOf(proof)).toEqual([]);
      expect(proof.over.byStatus.get(200)).toBeGreaterThan(16);
      expect(proof.live.byStatus.get(200)).toBeGreaterThan(0);
    });
  }, 120_000);

  it('do not prevent answers to other callers, even if they have no credentials', async () => {
    const AUTH_API_KEYS = ['calm', 'greedy'].map((key) => `${key}:read:${hash('sha256', key)}`);
    const variables = {
      AUTH_MODE: 'api-key',
      AUTH_API_KEYS: AUTH_API_KEYS.join(),
      RATE_LIMIT: '400/600', // more than the calm caller sends
    };
    await withBuiltService(32, variables, async ({ port }) => {
      const flood = (key: string, connections: number, pauseMs = 0) =>
        startFlood({ port, connections, pauseMs, requests: [requestText({ ...list, key })] });
      const calm = flood('calm', 2, 500);
      const served = () => calm.counts.byStatus.get(200)?.length ?? 0;
      for (const [key, status] of [
        ['greedy', 429],
        ['unknown', 401],
      ] as const) {
        const others = flood(key, 320);
        const refusals = () => others.counts.byStatus.get(status)?.length ?? 0;
        await until(() => refusals() > 320, 60_000);
        const before = served();
        await until(() => served() >= before + 4, 60_000);
        others.stop();
      }
      calm.stop();
      expect([...calm.counts.byStatus.keys()].filter((s) => ![200, 503].includes(s))).toEqual([]);
    });
  }, 240_000);
});

describe('4xx answers', () => {
  it('are delayed above their limit a second, and do not count as running requests', async () => {
    jest.spyOn(performance, 'now').mockReturnValue(1); // the second one does not end
    const app = express()
      .use(overloadProtection({ maxConcurrent: 4, holdMs: 60_000, promptRefusals: 3 }))
      .get('/refused', (_req, res) => sendRefusal(res, () => void res.status(404).end()))
      .get('/served', (_req, res) => void res.end('served'));
    const server = createServer(app).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    let arrived = 0;
    server.on('request', () => arrived++);
    const answers: number[] = [];
    const gone = new AbortController();
    const refused = Array.from({ length: 12 }, () =>
      fetch(`${url}/refused`, { signal: gone.signal }).then(
        ({ status }) => answers.push(status),
        (error: Error) => error.name,
      ),
    );
    await until(() => arrived === 12 && answers.length === 3);
    expect(await (await fetch(`${url}/served`)).text()).toBe('served');
    expect(answers).toEqual([404, 404, 404]);
    gone.abort();
    expect((await Promise.all(refused)).filter((end) => end === 'AbortError')).toHaveLength(9);
    jest.restoreAllMocks();
    server.closeAllConnections();
    server.close();
  });
});
