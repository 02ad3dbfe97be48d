import { asDataError, causesOf, errorCodeOf } from './errors.js';

/** An error of the database, explained for the operator. It contains no statement, no value and no password. */
export interface Explanation {
  /** The SQLSTATE (PostgreSQL, appendix A), or the code of the driver or the socket. */
  code: string;
  /** A description by this service, which may be shown to anyone. */
  summary: string;
  /** The message of the server or the system, if it cannot contain a value. It may name a role or a host. */
  reason?: string;
  /** The remedy, if it is known. */
  remedy?: string;
}

/** An error whose message is complete and may be shown to the operator unchanged. */
export class ExplainedError extends Error {
  override readonly name: string = 'ExplainedError';
}

/** Explains an error of the database or of the connection to it; undefined for any other error. */
export function explainError(error: unknown): Explanation | undefined {
  const code = errorCodeOf(error);
  if (code === undefined || !isOfDatabase(code, error)) return undefined;
  const [summary, remedy] = wordsOf(code, error);
  return { code, summary, reason: reasonOf(error, code), remedy };
}

/** Describes an error for a log or a terminal: the message of the server, its code, and the remedy. */
export function describeError(error: unknown): string {
  if (isExplained(error)) return error.message;
  const explanation = explainError(error);
  if (explanation)
    return sentenceOf({ ...explanation, summary: explanation.reason ?? explanation.summary });
  return asDataError(error)?.message ?? messagesOf(error);
}

/** Describes an error for a public answer, without roles, hosts and databases. */
export function describeErrorPublicly(error: unknown): string {
  const explanation = explainError(error);
  if (explanation) return sentenceOf(explanation);
  return asDataError(error)?.message ?? 'The database cannot be used.';
}

/** True if the code is one of the database. A missing file has the code of a missing socket, but is not one. */
function isOfDatabase(code: string, error: unknown): boolean {
  return isSqlState(code) || BY_CODE[code] === NOT_TRUSTED || asDataError(error) !== undefined;
}

/** True for five characters with a digit, unlike EPERM. No SQLSTATE begins with E, unlike E2BIG. */
function isSqlState(code: string): boolean {
  return /^(?!E)(?=.*\d)[0-9A-Z]{5}$/.test(code);
}

/** Also by name, because the embedded PostgreSQL imports nothing from outside its folder. */
function isExplained(error: unknown): error is Error {
  if (error instanceof ExplainedError) return true;
  return error instanceof Error && error.name === 'ExplainedError';
}

function sentenceOf({ summary, code, remedy }: Explanation): string {
  const text = summary.replace(/\.$/, '');
  const end = text.includes(code) ? '.' : ` (${code}).`;
  return remedy ? `${text}${end} ${remedy}` : `${text}${end}`;
}

/** Returns the server's message for the error with this code, without drizzle's wrapper, which has the statement and its values. */
function reasonOf(error: unknown, code: string): string | undefined {
  for (const { code: found, message } of causesOf(error)) {
    if (found === code && typeof message === 'string') return withoutValues(message, code);
  }
  return undefined;
}

/** Removes values from a message. They are in quotes, and only in some classes; other classes quote only names. */
function withoutValues(message: string, code: string): string | undefined {
  if (/^(P0|HV)...$|^CONNECT|^ERR_(?!TLS)/.test(code)) return undefined; // the message may have any text, or is empty
  const quotesValues =
    /^22...$/.test(code) || (code === '42601' && !/^syntax error at /.test(message));
  return (quotesValues ? message.replace(/".*"/s, '"…"') : message) || undefined;
}

/**
 * Joins the messages of an error and its causes, the outermost first. It leaves out drizzle's wrapper, which has the
 * statement and its values, and every message that an outer one contains.
 */
function messagesOf(error: unknown): string {
  const messages = [...causesOf(error)]
    .map(({ message }) => (typeof message === 'string' ? message.trim() : ''))
    .filter((message) => message !== '' && !message.startsWith('Failed query:'));
  const distinct = messages.filter(
    (one, n) => !messages.slice(0, n).some((outer) => outer.includes(one)),
  );
  const last = distinct.pop();
  if (last === undefined) return String(error);
  return [...distinct.map((message) => message.replace(/[.:]$/, '')), last].join(': ');
}

type Words = readonly [summary: string, remedy?: string];

const NOT_MIGRATED: Words = [
  'The database is not migrated yet.',
  'If migrations are pending, apply them (npm run db:migrate); otherwise check search_path in the database URL: the tables and the extensions must be in it.',
];
const EXISTS: Words = [
  'The database already contains an object with this name.',
  'If it belongs to another application, give this service its own schema: create schema catalogue, and ?search_path=catalogue,public in the database URL.',
];
const NOT_INSTALLED: Words = [
  'The database server lacks an extension or a feature that the service needs.',
  'Install the extensions that come with PostgreSQL (the package postgresql-contrib), and use PostgreSQL 15 or later.',
];
const NOT_REACHED: Words = [
  'The database cannot be reached.',
  'Check host and port in the database URL, and that the server runs and listens there.',
];
const NO_SUCH_HOST: Words = [
  'The host name of the database cannot be resolved.',
  'Check the host in the database URL.',
];
const NOT_TRUSTED: Words = [
  'The certificate of the database server is not trusted.',
  'Check sslmode and the host in the database URL, and give Node the authority with NODE_EXTRA_CA_CERTS.',
];
const READ_ONLY: Words = [
  'The database is read-only.',
  'Check that the database URL leads to the primary and not to a standby.',
];

/** Node's documentation, "X509 certificate error codes", without those that no server can cause. */
const CERTIFICATE_CODES = `
  UNABLE_TO_GET_ISSUER_CERT UNABLE_TO_GET_CRL CERT_SIGNATURE_FAILURE CRL_SIGNATURE_FAILURE CERT_NOT_YET_VALID
  CERT_HAS_EXPIRED CRL_NOT_YET_VALID CRL_HAS_EXPIRED DEPTH_ZERO_SELF_SIGNED_CERT SELF_SIGNED_CERT_IN_CHAIN
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY UNABLE_TO_VERIFY_LEAF_SIGNATURE CERT_CHAIN_TOO_LONG CERT_REVOKED INVALID_CA
  PATH_LENGTH_EXCEEDED INVALID_PURPOSE CERT_UNTRUSTED CERT_REJECTED HOSTNAME_MISMATCH ERR_TLS_CERT_ALTNAME_INVALID`;

/** The explanations by SQLSTATE, or by the code of the driver or the socket. */
const BY_CODE: Record<string, Words> = {
  '08P01': [
    'The server or the pooler does not accept how the service connects.',
    'Behind a transaction pooler set DATABASE_PREPARE=false.',
  ],
  '0A000': NOT_INSTALLED,
  '25006': READ_ONLY,
  '28000': [
    'The server refuses the login.',
    'Check that the role exists and may log in, that pg_hba.conf admits it from this host, and whether the server requires TLS (sslmode=require).',
  ],
  '28P01': [
    'The server refuses the password or the role.',
    'Check user and password in the database URL; characters such as @ : / # must be percent-encoded.',
  ],
  '3D000': [
    'The database does not exist.',
    'Create it, or correct the name at the end of the database URL.',
  ],
  '3F000': [
    'The schema does not exist.',
    'Create a schema that search_path names, or correct search_path in the database URL.',
  ],
  '42501': [
    'The database role of the service lacks a privilege.',
    'Grant it as docs/database/overview.md says under "Roles".',
  ],
  '42704': [
    'The database lacks a type, an operator class or a setting.',
    'Check that the extension pg_trgm is installed in a schema of the search path, and that the server knows the parameters of the database URL.',
  ],
  '42703': NOT_MIGRATED,
  '42883': NOT_MIGRATED,
  '42P01': NOT_MIGRATED,
  '42710': EXISTS,
  '42723': EXISTS,
  '42P06': EXISTS,
  '42P07': EXISTS,
  '53300': [
    'The database server has no free connection.',
    'Lower DATABASE_MAX_CONNECTIONS or the number of instances, or raise max_connections of the server.',
  ],
  '57P03': [
    'The database is starting or stopping.',
    'The service tries again until the database answers.',
  ],
  '58P01': NOT_INSTALLED,
  ECONNREFUSED: NOT_REACHED,
  EHOSTUNREACH: NOT_REACHED,
  ENETUNREACH: NOT_REACHED,
  ENOENT: NOT_REACHED,
  ETIMEDOUT: NOT_REACHED,
  ENOTFOUND: NO_SUCH_HOST,
  EAI_AGAIN: NO_SUCH_HOST,
  NO_TLS: [
    'The server does not accept TLS.',
    'Configure TLS on the server, or write sslmode=disable in the database URL.',
  ],
  NOT_POSTGRESQL: [
    'The server closes connections before it answers.',
    'Check that PostgreSQL listens at the host and port of the database URL.',
  ],
  ...Object.fromEntries(
    CERTIFICATE_CODES.trim()
      .split(/\s+/)
      .map((code) => [code, NOT_TRUSTED]),
  ),
};

/** The explanations by class of the SQLSTATE, its first two characters. */
const BY_CLASS: Record<string, Words> = {
  '53': ['The server lacks resources.', 'Check its memory and disk.'],
  '58': [
    'The database server reports an error of its operating system.',
    'Check its disk and its log.',
  ],
};

function wordsOf(code: string, error: unknown): Words {
  const byClass = isSqlState(code) ? BY_CLASS[code.slice(0, 2)] : undefined;
  return (
    BY_CODE[code] ?? byClass ?? [asDataError(error)?.message ?? 'The database reported an error.']
  );
}
