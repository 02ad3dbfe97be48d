/**
 * The errors that a caller of `src/db` can act on. `http/problems/problem.ts` maps them to HTTP statuses.
 *
 * - `not_found`, `already_exists`, `version_mismatch`: the row is not in the state that the call requires
 * - `still_referenced`: other rows refer to the row, so it cannot be removed, and its key cannot be changed
 * - `cursor_expired`: changes after this position have been removed, or the position never existed
 * - `invalid_value`: a constraint or a type of the database refused a value
 * - `conflict`: two transactions conflicted; the same call may succeed if it is repeated
 * - `statement_timeout`: the statement exceeded its time limit and was cancelled
 * - `pool_exhausted`: no connection became free within the acquire timeout; nothing was sent
 * - `database_unavailable`: the database is unreachable, starting, full or not migrated
 */
export type DataErrorCode =
  | 'not_found'
  | 'already_exists'
  | 'version_mismatch'
  | 'still_referenced'
  | 'cursor_expired'
  | 'invalid_value'
  | 'conflict'
  | 'statement_timeout'
  | 'pool_exhausted'
  | 'database_unavailable';

/** Describes what is wrong with one field of a row. It contains no value, so it may be shown to clients. */
export interface FieldFault {
  /** The line, if the row is in a file. */
  line?: number;
  /** The name of the field in the API. */
  path: string;
  message: string;
}

interface DataErrorOptions {
  cause?: unknown;
  faults?: readonly FieldFault[];
}

/** The error of this layer. Its message may be shown to clients: it contains no SQL and no values. */
export class DataError extends Error {
  override readonly name = 'DataError';
  /** The fields that a constraint refused, if they are known. */
  readonly faults?: readonly FieldFault[];

  constructor(
    readonly code: DataErrorCode,
    message: string,
    { faults, ...options }: DataErrorOptions = {},
  ) {
    super(message, options);
    if (faults?.length) this.faults = faults;
  }
}

/** The server did not answer in time: it is busy, frozen or unreachable. */
export class NoAnswerError extends DataError {
  constructor(message: string) {
    super('database_unavailable', message);
  }
}

/**
 * Converts an error of the database or the driver to a DataError; undefined for any other error. Drizzle
 * wraps the driver's error in a message with SQL and parameters, so only codes are used: the SQLSTATE
 * (PostgreSQL, appendix A) or the code of the driver or the socket.
 */
export function asDataError(error: unknown): DataError | undefined {
  for (const cause of causesOf(error)) {
    if (cause instanceof DataError) return cause;
    const translated = translate(cause);
    if (translated) return new DataError(translated[0], translated[1], { cause: error });
  }
  return undefined;
}

/**
 * Returns the SQLSTATE, or the code of the driver or the socket, of an error or its causes. Codes of this
 * service, such as those of a DataError or a problem, are in lower case and do not count.
 */
export function errorCodeOf(error: unknown): string | undefined {
  for (const { code } of causesOf(error)) {
    if (typeof code === 'string' && /^[0-9A-Z_]+$/.test(code)) return code;
  }
  return undefined;
}

/** The fields that an error of the driver, the server or a socket may have. */
export type Cause = {
  code?: unknown;
  routine?: unknown;
  syscall?: unknown;
  constraint_name?: unknown;
  schema_name?: unknown;
  table_name?: unknown;
  column_name?: unknown;
  detail?: unknown;
  message?: unknown;
  cause?: unknown;
};

/** Yields an error and its causes. It does not use `instanceof Error`: under Jest, Node's errors belong to another realm. */
export function* causesOf(error: unknown): Generator<Cause> {
  let cause = error;
  for (let depth = 0; typeof cause === 'object' && cause !== null && depth < 5; depth++) {
    yield cause;
    cause = (cause as Cause).cause;
  }
}

const UNAVAILABLE = [
  'database_unavailable',
  'The database cannot be reached at the moment.',
] as const;
const CONFLICT = [
  'conflict',
  'The write conflicts with another one. The same request may succeed now.',
] as const;
/** The message of a refusal that says nothing about the reason. */
export const REFUSED_VALUE = 'The database refused a value.';
const INVALID = ['invalid_value', REFUSED_VALUE] as const;
const NO_SUCH_REFERENCE = [
  'invalid_value',
  'An entry that the values refer to does not exist.',
] as const;
const STILL_REFERENCED = [
  'still_referenced',
  'Other entries still refer to this one. Remove them, or let them refer to another one, then send the request again.',
] as const;

const BY_CODE: Record<string, readonly [DataErrorCode, string]> = {
  '23505': ['already_exists', 'An entry with this key exists already.'],
  '23001': STILL_REFERENCED, // ON DELETE RESTRICT since PostgreSQL 18
  '23502': ['invalid_value', 'A required value is missing.'],
  '23503': [
    'invalid_value',
    'An entry that the values refer to does not exist, or other entries still refer to this one.',
  ],
  '40001': CONFLICT,
  '40P01': CONFLICT,
  '55P03': CONFLICT,
  '57014': [
    'statement_timeout',
    'The database did not finish the statement within the time limit.',
  ],
  '25006': UNAVAILABLE, // a standby that has not been promoted yet
  '25P03': UNAVAILABLE, // idle in transaction for too long
  '3D000': UNAVAILABLE,
  '42501': [
    'database_unavailable',
    'The database role of the service lacks a privilege for this operation.',
  ],
  '42P01': ['database_unavailable', 'The database is not migrated yet.'],
  '42703': ['database_unavailable', 'The database is not migrated yet.'],
  '42883': ['database_unavailable', 'The database is not migrated yet.'],
  CONNECTION_CLOSED: UNAVAILABLE,
  CONNECTION_ENDED: UNAVAILABLE,
  CONNECTION_DESTROYED: UNAVAILABLE,
  CONNECT_TIMEOUT: UNAVAILABLE,
  ECONNREFUSED: UNAVAILABLE,
  ECONNRESET: UNAVAILABLE,
  EPIPE: UNAVAILABLE,
  ETIMEDOUT: UNAVAILABLE,
  ENOTFOUND: UNAVAILABLE,
  EAI_AGAIN: UNAVAILABLE,
  EHOSTUNREACH: UNAVAILABLE,
  ENETUNREACH: UNAVAILABLE,
  NO_TLS: UNAVAILABLE,
  NOT_POSTGRESQL: UNAVAILABLE,
  ENOENT: UNAVAILABLE, // a Unix socket that does not exist
};

/** SQLSTATE classes whose codes all mean the same to a caller. */
const BY_CLASS: Record<string, readonly [DataErrorCode, string]> = {
  '08': UNAVAILABLE, // connection exception
  '22': INVALID, // data exception
  '23': INVALID, // integrity constraint violation
  '28': UNAVAILABLE, // invalid authorization: the operator's fault, not the caller's
  '53': UNAVAILABLE, // insufficient resources, too many connections included
  '54': INVALID, // program limit exceeded: nested too deeply, too long for an index
  '57': UNAVAILABLE, // operator intervention: shut down, crash, starting up
};

function translate(cause: Cause): readonly [DataErrorCode, string] | undefined {
  const { code, routine, syscall, constraint_name: constraint } = cause;
  // A table was changed after a statement on it was prepared, inside a transaction. A retry succeeds.
  if (routine === 'RevalidateCachedQuery') return CONFLICT;
  if (typeof code !== 'string') return undefined;
  if (code === 'ENOENT' && syscall !== 'connect') return undefined; // a file, not a socket
  // Constraints with this name refuse duplicates inside one value, not a second row with the same key.
  if (code === '23505' && String(constraint).endsWith('_distinct')) return INVALID;
  const side = foreignKeySideOf(cause);
  if (side) return side === 'missing' ? NO_SUCH_REFERENCE : STILL_REFERENCED;
  return BY_CODE[code] ?? (/^[0-9A-Z]{5}$/.test(code) ? BY_CLASS[code.slice(0, 2)] : undefined);
}

/**
 * Tells whether a foreign key refused a row because the row that it refers to is missing, or because other rows still
 * refer to it. Both have the same SQLSTATE, so the message decides; undefined if the server speaks another language.
 */
export function foreignKeySideOf({ code, message }: Cause): 'missing' | 'referenced' | undefined {
  if (code !== '23503') return undefined;
  const [, first] = /^(insert|update) or (?:update|delete) on /.exec(String(message)) ?? [];
  if (first === undefined) return undefined;
  return first === 'insert' ? 'missing' : 'referenced';
}
