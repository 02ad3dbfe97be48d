import { parseApiKeys } from '../config/api-keys.js';
import type { Environment } from '../config/environment.js';
import { apiKeys } from './api-keys.js';
import type { AuthOptions } from './auth-options.js';
import { bearerTokens } from './jwt.js';

/** Returns the authentication options for AUTH_MODE; undefined for `none`. The environment must be validated. */
export function authOptions(environment: Environment, realm: string): AuthOptions | undefined {
  switch (environment.AUTH_MODE) {
    case 'none':
      return undefined;
    case 'api-key':
      return { realm, recognise: apiKeys(parseApiKeys(environment.AUTH_API_KEYS!)!) };
    case 'jwt':
      return bearerTokens({
        realm,
        jwksUrl: environment.AUTH_JWKS_URL!,
        issuer: environment.AUTH_ISSUER!,
        audience: environment.AUTH_AUDIENCE!,
      });
  }
}
