/** GET and HEAD need the scope `read`, every other method needs `write`. */
export type Scope = 'read' | 'write';

/** The caller of a request. The guard stores it in `req.user`. */
export interface Caller {
  /** The name in history and logs, and the owner of idempotency keys. */
  sub: string;
  scopes: ReadonlySet<Scope>;
  /** The expiry of the token in milliseconds since 1970; absent for a key that does not expire. */
  expiresAt?: number;
}

/**
 * Returns the caller that a bearer token belongs to. For an invalid token it returns undefined, or throws
 * NotRecognised with a reason for the log. Any other error means that it cannot decide at the moment;
 * the client then gets 503 `authentication_unavailable`.
 */
export type Recognise = (token: string) => Caller | undefined | Promise<Caller | undefined>;

/** The token is not valid. The reason is logged at level debug and not sent to the client. */
export class NotRecognised extends Error {
  override readonly name = 'NotRecognised';
}
