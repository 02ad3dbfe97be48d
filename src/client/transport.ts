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

/** Every operation of the service but files and streams, and what each takes. */
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

/** What goes with a request: over HTTP its headers, over messages the field `meta`. */
export interface RequestMeta {
  /** An API key or a bearer token. */
  token?: string;
  requestId?: string;
  traceparent?: string;
  idempotencyKey?: string;
  ifMatch?: string;
  ifNoneMatch?: string;
  /** A read sees the write that answered this token, and all before it. */
  consistencyToken?: string;
}

/** A success. A failure is thrown as a ProjectsClientError. */
export interface Reply {
  status: number;
  data?: unknown;
  meta?: unknown;
  etag?: string;
  /** It repeats the first answer to this Idempotency-Key. */
  replayed?: boolean;
  /** Of a write, where the service has read replicas: a position behind its commit. */
  consistencyToken?: string;
}

/** One way to the service. A call that is aborted rejects soon, in any way. */
export interface Transport {
  call<O extends Operation>(
    operation: O,
    request: Requests[O],
    options: { meta: RequestMeta; signal: AbortSignal },
  ): Promise<Reply>;
  close?(): Promise<void>;
}
