/** The operations of the service, except files and streams. */
export type Operation =
  | 'list'
  | 'get'
  | 'create'
  | 'put'
  | 'patch'
  | 'delete'
  | 'batch'
  | 'history'
  | 'changes'
  | 'technologies';

/** The result of a successful operation. A failure is thrown. */
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
