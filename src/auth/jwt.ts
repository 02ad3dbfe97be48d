import { context, propagation } from '@opentelemetry/api';
import {
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
} from 'jose';
import type { AuthOptions } from './auth-options.js';
import { type Caller, NotRecognised, type Scope } from './caller.js';
import { rememberCallers } from './known-tokens.js';

export interface TokenOptions {
  jwksUrl: string;
  issuer: string;
  audience: string;
  realm: string;
}

/** Only asymmetric algorithms: with HS256 the public key could be used as the secret, and `none` has no signature. */
const ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];
const CLOCK_SKEW_S = 5;
/** Propagates the trace context to the issuer. */
const SET_HEADER = {
  set: (headers: Headers, name: string, value: string) => headers.set(name, value),
};
/** The longest time for which a key that the issuer has removed is still accepted, while the issuer answers. */
const RELOAD_MS = 10 * 60_000;
/** After a failed fetch, requests do not contact the issuer again for this time. */
const OUTAGE_PAUSE_MS = 1000;
const FETCH_TIMEOUT_MS = 5000;
/** A JWK Set takes a few kilobytes. */
const MAX_KEYS_BYTES = 1024 * 1024;

/** The codes of jose for a failure to get the issuer's keys; all other codes mean an invalid token. */
const OUTAGES = new Set(['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID']);

/**
 * Authenticates JSON Web Tokens (RFC 7519) that are signed by a key of the issuer's JWKS. New keys are
 * found without a restart: a token with an unknown `kid` triggers a fetch of the keys, at most every 30
 * seconds. While the issuer is unreachable, known keys continue to work, and a token with an unknown key
 * fails with the error of the fetch, not as invalid.
 */
export function bearerTokens(options: TokenOptions): AuthOptions {
  const { jwksUrl, issuer, audience, realm } = options;
  const keys = remoteKeys(new URL(jwksUrl));
  const claims = {
    issuer,
    audience,
    algorithms: ALGORITHMS,
    requiredClaims: ['exp', 'sub'],
    clockTolerance: CLOCK_SKEW_S,
  };
  const verify = async (token: string): Promise<Caller> => {
    try {
      const { payload } = await jwtVerify(token, keys.find, claims);
      return callerOf(payload, realm);
    } catch (error) {
      throw isOutage(error) ? error : new NotRecognised((error as Error).message);
    }
  };
  return { realm, recognise: rememberCallers(verify), close: keys.close };
}

function remoteKeys(url: URL): { find: JWTVerifyGetKey; close: () => void } {
  let pausedUntil = 0;
  let outage: unknown;
  const fetchKeys: FetchImplementation = async (address, init) => {
    if (performance.now() < pausedUntil) throw outage;
    propagation.inject(context.active(), init.headers, SET_HEADER);
    return bounded(await fetch(address, init));
  };
  const keys = createRemoteJWKSet(url, {
    cacheMaxAge: Infinity,
    timeoutDuration: FETCH_TIMEOUT_MS,
    [customFetch]: fetchKeys,
  });
  const reload = setInterval(() => void keys.reload().catch(() => undefined), RELOAD_MS).unref();
  const find: JWTVerifyGetKey = async (header, token) => {
    try {
      return await keys(header, token);
    } catch (error) {
      if (isOutage(error) && error !== outage) {
        outage = error;
        pausedUntil = performance.now() + OUTAGE_PAUSE_MS;
      }
      throw error;
    }
  };
  return { find, close: () => clearInterval(reload) };
}

/** Returns the same response, but its body fails if it is larger than a JWK Set can be. */
function bounded(response: Response): Response {
  if (!response.ok || !response.body) return response;
  let bytes = 0;
  const body = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(part, controller) {
        bytes += part.length;
        if (bytes > MAX_KEYS_BYTES) controller.error(new Error('The JWK Set is too large.'));
        else controller.enqueue(part);
      },
    }),
  );
  return new Response(body, { status: response.status, headers: response.headers });
}

function isOutage(error: unknown): boolean {
  return !(error instanceof errors.JOSEError) || OUTAGES.has(error.code);
}

/** Checks `sub`, which becomes the actor in history and logs: it must be text without control characters. */
function callerOf({ sub, scope, exp }: JWTPayload, realm: string): Caller {
  if (typeof sub !== 'string' || !/^\P{Cc}{1,255}$/u.test(sub) || !sub.isWellFormed()) {
    throw new errors.JWTInvalid('"sub" must be text of 1 to 255 characters');
  }
  const words = typeof scope === 'string' ? scope.split(' ') : [];
  const scopes = (['read', 'write'] as const).filter((name) => words.includes(`${realm}:${name}`));
  return { sub, scopes: new Set<Scope>(scopes), expiresAt: exp! * 1000 };
}
