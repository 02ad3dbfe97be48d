import type { Environment } from './environment.js';
import { MESH_TRANSPORTS, parseMeshUrl } from './mesh-url.js';
import { isLoopback } from './texts.js';

/** The variables that each mode requires. */
const AUTH_SETTINGS = {
  'api-key': ['AUTH_API_KEYS'],
  jwt: ['AUTH_JWKS_URL', 'AUTH_ISSUER', 'AUTH_AUDIENCE'],
} as const;

/** Returns faults in the combination of variables that are valid individually. */
export function contradictions(given: Record<string, unknown>, environment: Environment): string[] {
  const faults: string[] = [];
  const production = environment.NODE_ENV === 'production';
  if (production && given.DATABASE_URL === undefined) {
    faults.push(
      'DATABASE_URL must be set in production; the embedded PostgreSQL is for development',
    );
  }
  if (given.AUTH_MODE === undefined && production) {
    faults.push('AUTH_MODE must be set in production (to none if requests need no authentication)');
  } else if (given.AUTH_MODE === undefined && !isLoopback(environment.HOST)) {
    faults.push(
      'AUTH_MODE must be set when HOST is not a loopback address (to none if requests need no authentication)',
    );
  }
  return [
    ...faults,
    ...portFaults(environment),
    ...meshFaults(given, environment),
    ...authFaults(given, environment),
  ];
}

function portFaults({ HOST, PORT, METRICS_PORT, ...mesh }: Environment): string[] {
  const { MESH_TRANSPORT, MESH_URL = '' } = mesh;
  const faults: string[] = [];
  if (METRICS_PORT !== undefined && METRICS_PORT !== 0 && METRICS_PORT === PORT) {
    faults.push('METRICS_PORT must differ from PORT; remove it to serve /metrics on PORT');
  }
  const address = MESH_TRANSPORT === 'tcp' ? parseMeshUrl(MESH_TRANSPORT, MESH_URL) : '';
  if (typeof address === 'string' || address.transport !== 'tcp' || address.host !== HOST)
    return faults;
  const taken = Object.entries({ PORT, METRICS_PORT }).find(([, port]) => port === address.port);
  return taken ? [...faults, `MESH_URL must not use the same port as ${taken[0]}`] : faults;
}

function meshFaults(given: Record<string, unknown>, environment: Environment): string[] {
  const { MESH_TRANSPORT: transport, MESH_URL: url } = environment;
  if (!transport)
    return url ? ['MESH_TRANSPORT must be set to tcp or nats when MESH_URL is set'] : [];
  if (!MESH_TRANSPORTS.includes(transport)) return []; // the rules of the variable report this fault
  if (!url) return [`MESH_URL must be set with MESH_TRANSPORT=${transport}`];
  const address = parseMeshUrl(transport, url);
  if (typeof address === 'string') return [`MESH_URL ${address}`];
  const isOpen = address.transport === 'tcp' && !isLoopback(address.host);
  return isOpen && given.AUTH_MODE === undefined && environment.NODE_ENV !== 'production'
    ? [
        'AUTH_MODE must be set when MESH_URL is not a loopback address (to none if requests need no authentication)',
      ]
    : [];
}

/** Finds missing settings of the mode, and settings without a mode, which would leave the service open by mistake. */
function authFaults(given: Record<string, unknown>, { AUTH_MODE }: Environment): string[] {
  const faults: string[] = [];
  for (const [mode, names] of Object.entries(AUTH_SETTINGS)) {
    for (const name of names) {
      if (AUTH_MODE === mode && given[name] === undefined) {
        faults.push(`${name} must be set with AUTH_MODE=${mode}`);
      }
      if (given.AUTH_MODE === undefined && given[name] !== undefined) {
        faults.push(
          `AUTH_MODE must be set when ${name} is set: to ${mode} to use it, or to none to ignore it`,
        );
      }
    }
  }
  return faults;
}
