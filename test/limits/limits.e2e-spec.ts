import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import postgres from 'postgres';
import { sleep, until, waitingForLocks } from '../support/connections.js';
import { openEvents } from '../support/event-client.js';
import { startService, type TestService } from '../support/service.js';

type Variables = NonNullable<Parameters<typeof startService>[0]>;

async function withService(
  variables: Variables,
  work: (service: TestService) => Promise<void>,
): Promise<void> {
  const service = await startService(variables);
  try {
    await work(service);
  } finally {
    await service.close();
  }
}

const LIST = '/api/projects?limit=1';

function ask({ url }: TestService, path = LIST, key?: string): Promise<Response> {
  return fetch(url + path, { headers: key ? { Authorization: `Bearer ${key}` } : {} });
}

async function codeOf(response: Response): Promise<unknown> {
  return ((await response.json()) as { code?: string }).code;
}

describe('with RATE_LIMIT', () => {
  const AUTH_API_KEYS = ['a', 'b'].map((key) => `${key}:read:${hash('sha256', key)}`).join();
  const keyed = { AUTH_MODE: 'api-key', AUTH_API_KEYS, RATE_LIMIT: '3/3600' };

  it('each caller has this number of requests and gets the number of remaining ones', async () => {
    await withService(keyed, async (service) => {
      for (const left of [2, 1, 0]) {
        const response = await ask(service, LIST, 'a');
        expect(response.status).toBe(200);
        expect(response.headers.get('ratelimit-policy')).toBe('"default";q=3;w=3600');
        expect(response.headers.get('ratelimit')).toMatch(
          RegExp(`^"default";r=${left};t=3[56]\\d\\d$`),
        );
        expect(response.headers.get('retry-after')).toBeNull();
      }
      const refused = await ask(service, LIST, 'a');
      expect([refused.status, await codeOf(refused)]).toEqual([429, 'too_many_requests']);
      expect(refused.headers.get('ratelimit')).toMatch(/^"default";r=0;t=3[56]\d\d$/);
      const seconds = Number(/t=(\d+)/.exec(refused.headers.get('ratelimit')!)![1]);
      expect(refused.headers.get('retry-after')).toBe(String(seconds));
      expect((await ask(service, LIST, 'b')).status).toBe(200);
    });
  });

  it('callers without credentials and health checks do not use up the limit of others', async () => {
    await withService(keyed, async (service) => {
      for (let i = 0; i < 10; i++) expect((await ask(service, LIST, 'c')).status).toBe(401);
      for (let i = 0; i < 10; i++) expect((await ask(service, '/health/live')).status).toBe(200);
      expect((await ask(service, LIST, 'a')).headers.get('ratelimit')).toContain('r=2');
    });
  });

  it('callers without authentication are limited by address, and are accepted again later', async () => {
    await withService({ RATE_LIMIT: '2/1' }, async (service) => {
      const statuses = new Set<number>();
      await until(async () => {
        statuses.add((await ask(service)).status);
        return statuses.size === 2;
      });
      expect([...statuses].sort()).toEqual([200, 429]);
      await sleep(1100);
      expect((await ask(service)).status).toBe(200);
    });
  });

  it("the address is the peer's, or the one that trusted proxies report", async () => {
    const from = (service: TestService, address: string) =>
      fetch(service.url + LIST, { headers: { 'X-Forwarded-For': address } });
    const statuses = async (TRUST_PROXY: string, addresses: string[]) => {
      const found: number[] = [];
      await withService({ RATE_LIMIT: '1/3600', TRUST_PROXY }, async (service) => {
        for (const address of addresses) found.push((await from(service, address)).status);
      });
      return found;
    };
    // A client cannot pretend to be another one.
    expect(await statuses('false', ['192.0.2.1', '192.0.2.2'])).toEqual([200, 429]);
    const twoHops = ['192.0.2.1', '192.0.2.2', '192.0.2.9, 192.0.2.1'];
    expect(await statuses('1', twoHops)).toEqual([200, 200, 429]);
    // A client with IPv6 chooses the last 64 bits of its address.
    const ofOneClient = ['2001:db8:0:1::1', '2001:DB8::1:ffff:0:0:2', '2001:0db8:0:0001::3'];
    expect(await statuses('1', ofOneClient)).toEqual([200, 429, 429]);
    const ofSeveral = [
      '2001:db8:0:1::1',
      '2001:db8:0:2::1',
      '::ffff:192.0.2.1',
      '::ffff:192.0.2.2',
    ];
    expect(await statuses('1', ofSeveral)).toEqual([200, 200, 200, 200]);
  });

  it('no limit means no rate limit headers', async () => {
    await withService({}, async (service) => {
      expect((await ask(service)).headers.get('ratelimit')).toBeNull();
    });
  });
});

describe('with more concurrent requests than MAX_CONCURRENT_REQUESTS', () => {
  const HOLD_MS = 300;
  const variables = {
    MAX_CONCURRENT_REQUESTS: '2',
    OVERLOAD_HOLD_MS: String(HOLD_MS),
    DATABASE_STATEMENT_TIMEOUT_MS: '60000',
  };

  /** Runs while two requests wait for the database. */
  async function whileBusy(service: TestService, work: () => Promise<void>): Promise<void> {
    const sql = postgres(service.database.url, { max: 1, onnotice: () => {} });
    try {
      const waiting = await sql.begin(async (tx) => {
        await tx`lock table projects in access exclusive mode`;
        const both = [ask(service), ask(service)];
        await until(async () => {
          return (await waitingForLocks(tx)).length === 2;
        });
        await work();
        return { both };
      });
      for (const answer of waiting.both) expect((await answer).status).toBe(200);
    } finally {
      await sql.end();
    }
  }

  it('further requests are refused after a delay, and health checks are answered', async () => {
    await withService(variables, async (service) => {
      await whileBusy(service, async () => {
        const startedAt = performance.now();
        const refused = await ask(service);
        expect(performance.now() - startedAt).toBeGreaterThan(HOLD_MS - 10);
        expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
        expect(refused.headers.get('x-request-id')).toMatch(/./);
        expect(await refused.json()).toMatchObject({
          success: false,
          code: 'overloaded',
          instance: '/api/projects',
          requestId: refused.headers.get('x-request-id'),
        });
        const head = await fetch(service.url + LIST, { method: 'HEAD' });
        expect([head.status, await head.text()]).toEqual([503, '']);
        expect((await ask(service, '/health/live')).status).toBe(200);
      });
      expect((await ask(service)).status).toBe(200);
    });
  });

  it('clients that leave during the delay leave no request behind', async () => {
    await withService(variables, async (service) => {
      await whileBusy(service, async () => {
        const leave = AbortSignal.timeout(50);
        const gone = Array.from({ length: 20 }, () =>
          fetch(service.url + LIST, { signal: leave }).catch((error: Error) => error.name),
        );
        expect(new Set(await Promise.all(gone))).toEqual(new Set(['TimeoutError']));
      });
      // A request stops counting shortly after its client has the answer.
      await until(async () => {
        const both = await Promise.all([ask(service), ask(service)]);
        return both.every(({ status }) => status === 200);
      });
    });
  });

  it('streams of changes do not count after they have begun', async () => {
    await withService(variables, async (service) => {
      const streams = [];
      for (let i = 0; i < 5; i++)
        streams.push(await openEvents(`${service.url}/api/projects/changes`));
      expect((await ask(service)).status).toBe(200);
      for (const stream of streams) stream.leave();
    });
  });

  it('the value 0 means no limit', async () => {
    const open = { ...variables, MAX_CONCURRENT_REQUESTS: '0' };
    await withService(open, async (service) => {
      const all = await Promise.all(Array.from({ length: 20 }, () => ask(service)));
      expect(all.map(({ status }) => status)).toEqual(Array<number>(20).fill(200));
    });
  });
});

describe('CORS_ORIGINS', () => {
  const ORIGIN = 'https://app.example.org';
  const variables = { CORS_ORIGINS: `${ORIGIN}, http://localhost:5173` };
  const preflight = {
    method: 'OPTIONS',
    headers: {
      Origin: ORIGIN,
      'Access-Control-Request-Method': 'PATCH',
      'Access-Control-Request-Headers': 'authorization, content-type',
    },
  };

  it('allows the pages of these origins, with and without authentication', async () => {
    const AUTH_API_KEYS = `a:read:${hash('sha256', 'a')}`;
    await withService({ ...variables, AUTH_MODE: 'api-key', AUTH_API_KEYS }, async (service) => {
      const asked = await fetch(service.url + LIST, preflight);
      expect(asked.status).toBe(204);
      expect(Object.fromEntries(asked.headers)).toMatchObject({
        'access-control-allow-origin': ORIGIN,
        'access-control-allow-methods': expect.stringContaining('PATCH'),
        'access-control-allow-headers': 'authorization, content-type',
        'access-control-max-age': '600',
        allow: 'GET, HEAD, OPTIONS, POST',
      });
      const refused = await fetch(service.url + LIST, { headers: { Origin: ORIGIN } });
      expect(refused.status).toBe(401);
      expect(refused.headers.get('access-control-allow-origin')).toBe(ORIGIN);
      const exposed = refused.headers.get('access-control-expose-headers')!.split(',');
      const { components } = JSON.parse(await readFile('docs/openapi.json', 'utf8'));
      expect(exposed.sort()).toEqual(Object.keys(components.headers).sort());
    });
  });

  it('allows no other pages, and without the variable allows none', async () => {
    await withService(variables, async (service) => {
      const other = await fetch(service.url + LIST, {
        headers: { Origin: 'https://evil.example' },
      });
      expect(other.headers.get('access-control-allow-origin')).toBeNull();
      expect(other.headers.get('vary')).toContain('Origin');
    });
    await withService({}, async (service) => {
      const asked = await fetch(service.url + LIST, preflight);
      expect([asked.status, asked.headers.get('access-control-allow-origin')]).toEqual([204, null]);
      expect(asked.headers.get('allow')).toBe('GET, HEAD, OPTIONS, POST');
    });
  });
});
