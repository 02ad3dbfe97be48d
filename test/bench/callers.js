// Measures the cost of authentication and metrics: GET by id on the service with them, compared with the service
// without them.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { hash } from 'node:crypto';
import path from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { WARM_UP_SECONDS } from './load.js';
import { startServer } from './server.js';

const KEY = 'key-of-the-bench';
const ISSUER = 'https://issuer.example/';
const AUDIENCE = 'bench';

/** The minimum ratio of each variant to the service without both. */
const LEAST = { 'api-key and metrics': 0.9, 'jwt and metrics': 0.85 };

/**
 * Measures the rates by variant. `ask(port, headers, seconds)` resolves with the requests a second. The variants are
 * warmed up and then alternate.
 */
export async function measureCallers({ node, url, rounds, seconds, ask }) {
  const issuer = await startIssuer();
  const variants = variantsOf(issuer);
  const servers = [];
  try {
    for (const variant of variants) servers.push(await start(node, url, variant));
    const rates = variants.map(() => []);
    const askOne = (n, time) => ask(servers[n].port, variants[n].headers, time);
    for (const n of variants.keys()) await askOne(n, WARM_UP_SECONDS);
    for (let round = 0; round < rounds; round++) {
      for (const n of inTurn(round, variants.length)) rates[n].push(await askOne(n, seconds));
    }
    return variants.map(({ name }, n) => ({ name, rates: rates[n], least: LEAST[name] }));
  } finally {
    await Promise.all(servers.map(({ stop }) => stop()));
    issuer.server.close();
  }
}

/** Each round begins with another variant, because the first one in a round may have an advantage. */
function inTurn(round, count) {
  return Array.from({ length: count }, (_, n) => (n + round) % count);
}

function variantsOf({ keysUrl, token }) {
  return [
    { name: 'neither', env: { AUTH_MODE: 'none', METRICS: 'none' }, headers: {} },
    { name: 'metrics', env: { AUTH_MODE: 'none' }, headers: {} },
    {
      name: 'api-key and metrics',
      env: { AUTH_MODE: 'api-key', AUTH_API_KEYS: `bench:read:${hash('sha256', KEY)}` },
      headers: { Authorization: `Bearer ${KEY}` },
    },
    {
      name: 'jwt and metrics',
      env: {
        AUTH_MODE: 'jwt',
        AUTH_JWKS_URL: keysUrl,
        AUTH_ISSUER: ISSUER,
        AUTH_AUDIENCE: AUDIENCE,
      },
      headers: { Authorization: `Bearer ${token}` },
    },
  ];
}

function start(node, url, { env }) {
  const program = path.join(import.meta.dirname, 'single-modules.js');
  const common = { NODE_ENV: 'production', LOG_LEVEL: 'warn', DATABASE_URL: url };
  return startServer({ node, program, env: { ...common, ...env }, target: '/health/ready' });
}

async function startIssuer() {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'bench', alg: 'ES256' }];
  const answer = JSON.stringify({ keys });
  const server = createServer((_req, res) => res.end(answer)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const token = await new SignJWT({ scope: 'projects:read' })
    .setProtectedHeader({ alg: 'ES256', kid: 'bench' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject('bench')
    .setExpirationTime('1h')
    .sign(privateKey);
  return { server, token, keysUrl: `http://127.0.0.1:${server.address().port}/keys` };
}
