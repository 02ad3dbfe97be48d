import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  SignJWT,
} from 'jose';

export const ISSUER = 'https://issuer.example/';
export const AUDIENCE = 'projects-service';

export interface SigningKey {
  kid: string;
  alg: string;
  privateKey: CryptoKey;
  jwk: JWK;
}

/** An issuer of tokens, whose answers a test may change. */
export interface Issuer {
  url: string;
  /** The environment of a service that uses this issuer. */
  variables: Record<'AUTH_MODE' | 'AUTH_JWKS_URL' | 'AUTH_ISSUER' | 'AUTH_AUDIENCE', string>;
  /** The number of requests for its keys. */
  requests: number;
  lastHeaders?: IncomingHttpHeaders;
  keys: SigningKey[];
  /** The answer to send instead of its keys. */
  answer: ((res: ServerResponse) => void) | undefined;
  close(): Promise<void>;
}

export async function createSigningKey(kid: string, alg = 'ES256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export async function startIssuer(...keys: SigningKey[]): Promise<Issuer> {
  const server = createServer((req, res) => {
    issuer.lastHeaders = req.headers;
    issuer.requests++;
    if (issuer.answer) return issuer.answer(res);
    res.setHeader('Content-Type', 'application/json');
    res.end(JSON.stringify({ keys: issuer.keys.map(({ jwk }) => jwk) }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
  const issuer: Issuer = {
    url,
    variables: {
      AUTH_MODE: 'jwt',
      AUTH_JWKS_URL: url,
      AUTH_ISSUER: ISSUER,
      AUTH_AUDIENCE: AUDIENCE,
    },
    requests: 0,
    keys,
    answer: undefined,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return issuer;
}

const nowInSeconds = () => Math.floor(Date.now() / 1000);

/**
 * Creates a token of the issuer for `someone`, with the scopes read and write, valid for five minutes; `claims` and
 * `header` change it.
 */
export async function aToken(
  {
    kid,
    alg,
    privateKey,
  }: Pick<SigningKey, 'kid' | 'alg'> & { privateKey: CryptoKey | Uint8Array },
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const payload = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'someone',
    scope: 'openid projects:read projects:write',
    exp: nowInSeconds() + 300,
    ...claims,
  } as JWTPayload;
  return await new SignJWT(payload)
    .setProtectedHeader({ alg, kid, typ: 'JWT', ...header })
    .sign(privateKey);
}
