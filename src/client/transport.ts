import type {
  ChangesQuery,
  HistoryQuery,
  ListQuery,
  ProjectInput,
  ProjectOperation,
  ProjectPatch,
  TechnologiesQuery,
} from './types.js';

interface OfOne {
  id: string;
}

/** The operations of the service, except files and streams, with their parameters. */
export interface Requests {
  list: { query: ListQuery & { id?: string[] } };
  get: OfOne;
  create: { body: ProjectInput };
  put: OfOne & { body: ProjectInput };
  patch: OfOne & { body: ProjectPatch };
  delete: OfOne;
  batch: { body: { operations: ProjectOperation[] } };
  history: OfOne & { query: HistoryQuery };
  changes: { query: ChangesQuery };
  technologies: { query: TechnologiesQuery };
}

export type Operation = keyof Requests;

/** The metadata of a request: its headers over HTTP, and the field `meta` over messages. */
export interface RequestMeta {
  /** An API key or a bearer token. */
  token?: string;
  requestId?: string;
  traceparent?: string;
  idempotencyKey?: string;
  ifMatch?: string;
  ifNoneMatch?: string;
  /** A read sees the write that returned this token, and all earlier ones. */
  consistencyToken?: string;
}

/** A success. A failure is thrown as a ProjectsClientError. */
export interface Reply {
  status: number;
  data?: unknown;
  meta?: unknown;
  etag?: string;
  /** True if it is the stored answer to an earlier request with this Idempotency-Key. */
  replayed?: boolean;
  /** The token of a write, if the service has read replicas. */
  consistencyToken?: string;
}

/** A connection to the service. An aborted call rejects soon, with any error. */
export interface Transport {
  call<O extends Operation>(
    operation: O,
    request: Requests[O],
    options: { meta: RequestMeta; signal: AbortSignal },
  ): Promise<Reply>;
  close?(): Promise<void>;
}
