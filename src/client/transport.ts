import type { Operation, Reply } from '../projects/messages/operation.js';
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

export type { Operation, Reply };

/** The parameters of each operation. A failure is thrown as a ProjectsClientError. */
export interface Requests extends Record<Operation, object> {
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

/** A connection to the service. An aborted call rejects soon, with any error. */
export interface Transport {
  call<O extends Operation>(
    operation: O,
    request: Requests[O],
    options: { meta: RequestMeta; signal: AbortSignal },
  ): Promise<Reply>;
  close?(): Promise<void>;
}
