import { createHmac } from 'node:crypto';
import { jest } from '@jest/globals';
import { type CryptoKey, exportSPKI, importJWK } from 'jose';
import request from 'supertest';
import { aProject } from '../support/builders.js';
import { sleep, until } from '../support/connections.js';
import { openEvents } from '../support/event-client.js';
import {
  aToken,
  createSigningKey,
  type Issuer,
  type SigningKey,
  startIssuer,
} from '../support/issuer.js';
import { startService, type TestService } from '../support/service.js';

const key = await createSigningKey('first');
const INVALID = 'Bearer realm="projects", error="invalid_token"';
const now = () => Math.floor(Date.now() / 1000);

let issuer: Issuer;
let service: TestService;
beforeAll(async () => {
  issuer = await startIssuer(key);
  service = await startService(issuer.variables);
});
afterEach(() => jest.restoreAllMocks());
afterAll(async () => {
  await service.close();
  await issuer.close();
});

/** Starts a new issuer and a new service, which have received no requests yet. */
async function withIssuer(
  signing: SigningKey,
  work: (guarded: TestService, issuer: Issuer) => Promise<void>,
): Promise<void> {
  const other = await startIssuer(signing);
  const guarded = await startService(other.variables);
  try {
    await work(guarded, other);
  } finally {
    await guarded.close();
    await other.close();
  }
}

/** Returns the status, code and challenge of a list that is requested with this token. */
async function ask(token: string, { url } = service) {
  const response = await fetch(`${url}/api/projects?limit=1`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  const { code, detail } = (await response.json()) as { code?: string; detail?: string };
  return {
    status: response.status,
    code,
    detail,
    challenge: response.headers.get('www-authenticate'),
  };
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

const REFUSED = {
  status: 401,
  code: 'unauthorized',
  detail: 'The bearer token is not valid.',
  challenge: INVALID,
};

describe('a token', () => {
  it('of the issuer for this service is accepted, and its subject is the actor', async () => {
    const token = await aToken(key, { sub: 'auth0|4711', aud: ['other', 'projects-service'] });
    const created = await request(service.url)
      .post('/api/projects')
      .auth(token, { type: 'bearer' })
      .send(aProject())
      .expect(201);
    const history = await request(service.url)
      .get(`/api/projects/${created.body.data.id}/history`)
      .auth(token, { type: 'bearer' });
    expect(history.body.data).toMatchObject([{ action: 'created', actor: 'auth0|4711' }]);
  });

  it.each(['RS256', 'PS256', 'ES256', 'EdDSA'])('may be signed with %s', async (alg) => {
    const other = await createSigningKey('other', alg);
    await withIssuer(other, async (guarded) => {
      expect((await ask(await aToken(other), guarded)).status).toBe(200);
    });
  });

  it('takes its scopes from the claim scope', async () => {
    const reader = await aToken(key, { scope: 'projects:read' });
    expect((await ask(reader)).status).toBe(200);
    await request(service.url)
      .post('/api/projects')
      .auth(reader, { type: 'bearer' })
      .send(aProject())
      .expect(403)
      .expect(
        'WWW-Authenticate',
        'Bearer realm="projects", error="insufficient_scope", scope="projects:write"',
      );
    for (const scope of [
      '',
      'read',
      'projects:reader',
      'xprojects:read',
      'PROJECTS:READ',
      7,
      undefined,
    ])
      expect(await ask(await aToken(key, { scope }))).toMatchObject({
        status: 403,
        code: 'insufficient_scope',
      });
  });

  it('may have expired up to 5 seconds ago, because clocks differ', async () => {
    expect((await ask(await aToken(key, { exp: now() - 2 }))).status).toBe(200);
    expect(await ask(await aToken(key, { exp: now() - 10 }))).toEqual(REFUSED);
  });
});

/** Some library has accepted each of these tokens once, or would do so without one of our checks. */
const FORGED: [string, () => Promise<string> | string][] = [
  ['expired', () => aToken(key, { exp: now() - 60 })],
  ['without an expiry', () => aToken(key, { exp: undefined })],
  ['with an expiry that is not a number', () => aToken(key, { exp: '9999999999' })],
  ['that is not valid yet', () => aToken(key, { nbf: now() + 60 })],
  ['of another issuer', () => aToken(key, { iss: 'https://issuer.example' })],
  ['without an issuer', () => aToken(key, { iss: undefined })],
  ['for another service', () => aToken(key, { aud: 'projects' })],
  ['without an audience', () => aToken(key, { aud: undefined })],
  ['without a subject', () => aToken(key, { sub: undefined })],
  ['with an object as its subject', () => aToken(key, { sub: { admin: true } })],
  ['of a list', () => aToken(key, { sub: ['someone'] })],
  ['with an empty subject', () => aToken(key, { sub: '' })],
  ['with a subject that is too long', () => aToken(key, { sub: 'x'.repeat(256) })],
  ['with a line break in its subject', () => aToken(key, { sub: 'some\none' })],
  ['with NUL in its subject', () => aToken(key, { sub: 'some\0one' })],
  ['with an unpaired surrogate in its subject', () => aToken(key, { sub: 'a\ud800' })],
  [
    'with a known kid and the signature of another key',
    async () => aToken(await createSigningKey('first')),
  ],
  ['with an unknown kid', async () => aToken(await createSigningKey('unknown'))],
  [
    'that contains its own key',
    async () => {
      const own = await createSigningKey('own');
      return aToken(own, {}, { jwk: own.jwk, jku: `${service.url}/keys` });
    },
  ],
  ['unsigned', () => `${encode({ alg: 'none' })}.${encode({ sub: 'x', exp: now() + 60 })}.`],
  [
    'unsigned, with the kid of a known key',
    async () => {
      const [, payload] = (await aToken(key)).split('.');
      return `${encode({ alg: 'none', kid: 'first' })}.${payload}.`;
    },
  ],
  [
    'whose payload was changed',
    async () => {
      const [header, , signature] = (await aToken(key)).split('.');
      return `${header}.${encode({ sub: 'admin', exp: now() + 60 })}.${signature}`;
    },
  ],
  ['without its signature', async () => (await aToken(key)).replace(/[^.]+$/, '')],
  [
    'signed by HMAC with the public key as the secret',
    async () => {
      const publicKey = (await importJWK(key.jwk, 'ES256', { extractable: true })) as CryptoKey;
      const content = `${encode({ alg: 'HS256', kid: 'first' })}.${(await aToken(key)).split('.')[1]}`;
      const secret = await exportSPKI(publicKey);
      return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
    },
  ],
  ['in five parts', () => 'a.b.c.d.e'],
  ['without parts', () => 'nonsense'],
  ['of JSON null', () => `${encode(null)}.${encode(null)}.AAAA`],
  ['of 15 kB', () => aToken(key, { exp: now() - 60, pad: 'x'.repeat(11_000) })],
];

describe('a token', () => {
  it.each(FORGED)('%s is refused without a reason', async (_what, forge) => {
    expect(await ask(await forge())).toEqual(REFUSED);
  });

  it('of 1 MB is refused before it is parsed', async () => {
    const response = await fetch(`${service.url}/api/projects`, {
      headers: { Authorization: `Bearer ${'x'.repeat(1_000_000)}` },
    });
    expect(response.status).toBe(431);
  });

  it('is verified once and remembered until it expires', async () => {
    const token = await aToken(key, { exp: now() + 30 });
    expect((await ask(token)).status).toBe(200);
    // From here on the token cannot be verified, so an accepted one was remembered.
    const verify = jest.spyOn(crypto.subtle, 'verify').mockRejectedValue(new Error('not again'));
    expect((await ask(token)).status).toBe(200);
    expect(verify).not.toHaveBeenCalled();
    const later = Date.now() + 31_000;
    jest.spyOn(Date, 'now').mockReturnValue(later);
    expect((await ask(token)).status).toBe(401);
    expect(verify).toHaveBeenCalledTimes(1);
  });
});

it('a stream of changes ends when its token expires', async () => {
  const token = await aToken(key, { exp: now() + 3 });
  const headers = { Authorization: `Bearer ${token}` };
  const stream = await openEvents(`${service.url}/api/projects/changes`, headers);
  expect([stream.response.statusCode, stream.hasEnded]).toEqual([200, false]);
  await until(() => stream.hasEnded);
});

const PAUSE_MS = 1100;
const UNAVAILABLE = {
  status: 503,
  code: 'authentication_unavailable',
  detail: 'The service cannot verify the caller at the moment. Try again later.',
  challenge: null,
};

/** The failures of an issuer. */
const OUTAGES: [string, NonNullable<Issuer['answer']>][] = [
  ['is unavailable', (res) => void res.destroy()],
  ['fails', (res) => void res.writeHead(500).end()],
  ['answers HTML', (res) => void res.setHeader('Content-Type', 'text/html').end('<p>Sorry')],
  ['answers other JSON', (res) => void res.end('{"keys":"soon"}')],
  [
    'sends more than a megabyte',
    (res) => void res.end(JSON.stringify({ keys: [key.jwk], padding: 'x'.repeat(2 ** 20) })),
  ],
  ['redirects to another URL', (res) => void res.writeHead(302, { Location: issuer.url }).end()],
  ['does not answer', () => undefined],
];

describe('an issuer', () => {
  it.each(OUTAGES)('that %s causes 503 for tokens until it recovers', async (_what, answer) => {
    await withIssuer(key, async (guarded, by) => {
      by.answer = answer;
      const token = await aToken(key);
      expect(await ask(token, guarded)).toEqual(UNAVAILABLE);
      expect(await ask('nonsense', guarded)).toEqual(REFUSED);
      expect((await fetch(`${guarded.url}/health/ready`)).status).toBe(200);
      by.answer = undefined;
      await sleep(PAUSE_MS);
      expect((await ask(token, guarded)).status).toBe(200);
    });
  });

  it('that is unavailable is asked once a second, for any number of requests', async () => {
    await withIssuer(key, async (guarded, by) => {
      by.answer = (res) => void res.writeHead(500).end();
      const token = await aToken(key);
      const startedAt = performance.now();
      for (let i = 0; i < 100; i++) expect(await ask(token, guarded)).toEqual(UNAVAILABLE);
      const seconds = (performance.now() - startedAt) / 1000;
      expect(by.requests).toBeLessThanOrEqual(1 + Math.ceil(seconds));
    });
  });

  it('that becomes unavailable later leaves its known keys valid, and requests with unknown keys get 503', async () => {
    await withIssuer(key, async (guarded, by) => {
      expect((await ask(await aToken(key), guarded)).status).toBe(200);
      by.answer = (res) => void res.destroy();
      const later = Date.now() + 24 * 3_600_000;
      jest.spyOn(Date, 'now').mockReturnValue(later);
      expect((await ask(await aToken(key), guarded)).status).toBe(200);
      expect(await ask(await aToken(await createSigningKey('new')), guarded)).toEqual(UNAVAILABLE);
    });
  });

  it('that changes its keys gets a request for them, and a thousand unknown keys cause no more requests', async () => {
    await withIssuer(key, async (guarded, by) => {
      expect((await ask(await aToken(key), guarded)).status).toBe(200);
      const second = await createSigningKey('second');
      by.keys = [second];
      const later = Date.now() + 31_000;
      jest.spyOn(Date, 'now').mockReturnValue(later);
      expect((await ask(await aToken(second), guarded)).status).toBe(200);
      expect(by.requests).toBe(2);
      expect(await ask(await aToken(key), guarded)).toEqual(REFUSED);
      const [, ...rest] = (await aToken(await createSigningKey('forged'))).split('.');
      const answers = await Promise.all(
        Array.from({ length: 1000 }, async (_, i) => {
          const header = encode({ alg: 'ES256', kid: `unknown ${i}` });
          return (await ask([header, ...rest].join('.'), guarded)).status;
        }),
      );
      expect(new Set(answers)).toEqual(new Set([401]));
      expect(by.requests).toBe(2);
    });
  });
});
