/** Read is needed for GET and HEAD, write for every other method. */
export type Scope = 'read' | 'write';

/** The caller of a request. The guard stores it in `req.user`. */
export interface Caller {
  /** The name in history and logs, and the owner of idempotency keys. */
  sub: string;
  scopes: ReadonlySet<Scope>;
  /** When the token expires, in milliseconds since 1970; absent for a key that does not expire. */
  expiresAt?: number;
}

/**
 * Says who a bearer token belongs to. For a token that is not valid it returns undefined, or throws
 * NotRecognised with a reason for the log. Any other error means that it cannot tell at the moment,
 * and the client gets 503 `authentication_unavailable`.
 */
export type Recognise = (token: string) => Caller | undefined | Promise<Caller | undefined>;

/** The token is not valid. The reason is logged at level debug; the client does not learn it. */
export class NotRecognised extends Error {
  override readonly name = 'NotRecognised';
}
