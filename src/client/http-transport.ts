import createClient from 'openapi-fetch';
import type { paths } from './openapi-types.js';
import { errorOfProblem, ProjectsClientError } from './projects-client-error.js';
import type { Operation, Reply, RequestMeta, Requests, Transport } from './transport.js';

export interface HttpTransportOptions {
  /** The URL of the API, such as `http://127.0.0.1:3000/api`. */
  url: string;
  /** An API key, or a function that returns a valid token. It is called for each request. */
  token?: string | (() => string | Promise<string>);
  /** The fetch function; default: that of Node. */
  fetch?: (request: Request) => Promise<Response>;
}

/** The paths below the URL of the API, which a host application may serve under another prefix. */
type ApiPaths = {
  [Path in keyof paths as Path extends `/api${infer Rest}` ? Rest : never]: paths[Path];
};
type Api = ReturnType<typeof createClient<ApiPaths>>;
type Answer = { data?: unknown; error?: unknown; response: Response };
type Init = { headers: Record<string, string>; signal: AbortSignal };

const MERGE_PATCH = 'application/merge-patch+json';
/** The error codes of a socket that could not be opened, so that nothing was sent. */
const NOT_SENT = new Set([
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'],
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** Calls the service over HTTP. */
export function httpTransport(options: HttpTransportOptions): Transport {
  const baseUrl = options.url.replace(/\/$/, '');
  const api = createClient<ApiPaths>({ baseUrl, fetch: options.fetch });
  return {
    call: async (operation, request, { meta, signal }) => {
      const token = meta.token ?? (await tokenOf(options));
      const init = { headers: headersOf({ ...meta, token }), signal };
      const answer = await CALLS[operation](api, request, init).catch((error: unknown) => {
        throw connectionError(error);
      });
      return replyOf(answer);
    },
  };
}

async function tokenOf({ token }: HttpTransportOptions): Promise<string | undefined> {
  return typeof token === 'function' ? await token() : token;
}

const CALLS: {
  [O in Operation]: (api: Api, request: Requests[O], init: Init) => Promise<Answer>;
} = {
  list: (api, { query }, init) => api.GET('/projects', { params: { query }, ...init }),
  get: (api, { id }, init) => api.GET('/projects/{id}', { params: { path: { id } }, ...init }),
  create: (api, { body }, init) => api.POST('/projects', { body, ...init }),
  put: (api, { id, body }, init) =>
    api.PUT('/projects/{id}', { params: { path: { id } }, body, ...init }),
  patch: (api, { id, body }, { headers, signal }) =>
    api.PATCH('/projects/{id}', {
      params: { path: { id } },
      body,
      signal,
      headers: { ...headers, 'Content-Type': MERGE_PATCH },
    }),
  delete: (api, { id }, init) =>
    api.DELETE('/projects/{id}', { params: { path: { id } }, ...init }),
  batch: (api, { body }, init) => api.POST('/projects/batch', { body, ...init }),
  history: (api, { id, query }, init) =>
    api.GET('/projects/{id}/history', { params: { path: { id }, query }, ...init }),
  changes: (api, { query }, init) => api.GET('/projects/changes', { params: { query }, ...init }),
  technologies: (api, { query }, init) => api.GET('/technologies', { params: { query }, ...init }),
};

const HEADERS: Record<Exclude<keyof RequestMeta, 'token'>, string> = {
  requestId: 'X-Request-Id',
  traceparent: 'traceparent',
  idempotencyKey: 'Idempotency-Key',
  ifMatch: 'If-Match',
  ifNoneMatch: 'If-None-Match',
  consistencyToken: 'X-Consistency-Token',
};

function headersOf({ token, ...meta }: RequestMeta): Record<string, string> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (token !== undefined) headers.Authorization = `Bearer ${token}`;
  for (const [name, value] of Object.entries(meta)) {
    if (value !== undefined) headers[HEADERS[name as keyof typeof HEADERS]] = value;
  }
  return headers;
}

function replyOf({ data, error, response }: Answer): Reply {
  const { status, headers } = response;
  if (status === 304) return { status };
  if (!response.ok) throw errorOfProblem(error, { status, retryAfterMs: retryAfterOf(headers) });
  const body = (data ?? {}) as { success?: boolean; data?: unknown; meta?: unknown };
  if (body.success !== true) throw errorOfProblem(body, { status });
  return {
    status,
    data: body.data,
    meta: body.meta,
    etag: headers.get('ETag') ?? undefined,
    replayed: headers.get('Idempotency-Replayed') === 'true',
    consistencyToken: headers.get('X-Consistency-Token') ?? undefined,
  };
}

function retryAfterOf(headers: Headers): number | undefined {
  const seconds = Number(headers.get('Retry-After') ?? NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}

/** Converts an error of `fetch`, whose cause is the failure of the socket. */
function connectionError(error: unknown): ProjectsClientError {
  const { code } = ((error as Error).cause ?? {}) as { code?: string };
  if (error instanceof SyntaxError) {
    return new ProjectsClientError('invalid_answer', 'The answer is not JSON.', { cause: error });
  }
  return code !== undefined && NOT_SENT.has(code)
    ? new ProjectsClientError('unreachable', `The service cannot be reached (${code}).`, {
        cause: error,
      })
    : new ProjectsClientError('connection_lost', 'The connection ended before the answer.', {
        cause: error,
      });
}
