import type net from 'node:net';
import { type Readable, Stream } from 'node:stream';
import postgres from 'postgres';
import type { DatabaseUrl } from './database-url.js';
import type { Target } from './socket.js';

/**
 * Everything that this service uses inside postgres@3.4.9 (postgres.js) and that its README does not promise. Each
 * point is watched by test/canaries/postgres-js.spec.ts. Read this file before an upgrade.
 *
 * 1. `max: 1` and one statement at a time: no queue of the driver is ever used, and nothing is cancelled. The
 *    exception is one statement behind a write that is prepared or has no parameters (Session.write): both are sent
 *    at once and settle in their order.
 * 2. `socket` is called for each connect, and what it gives is used as it is when `ssl` is off. It
 *    throws at the second connect: that is how a client is kept from reconnecting.
 * 3. A query settles at ReadyForQuery, after the bytes were given to the socket's earlier `data`
 *    listeners. A query that fails otherwise, such as by a parser that throws, settles with an error
 *    that is not a PostgresError, and its connection is of no more use.
 * 4. The driver's row counter is set back by CommandComplete alone (see ProtocolState).
 * 5. `options.parsers` is read when rows are described, and `options.serializers` when parameters are
 *    sent: both may be changed after the client was made.
 * 6. A text without parameters goes by the simple protocol, with all its statements at once. Its result
 *    is cut into several at row descriptions only.
 * 7. Where the URL says nothing, user, password and database come from PGUSER, PGPASSWORD and PGDATABASE
 *    or the user of the system.
 * 8. `fetch_types: false` spares a look-up whose failure nobody can catch.
 * 9. A query is answered by a call of its `resolve`, with the stream when the answer is a COPY.
 * 10. A prepared statement that the server can no longer use is prepared again, with the same parameters. It
 *     then settles after the statement that was sent behind it.
 * 11. A text without parameters can be prepared: it is sent in one go, also the first time.
 */
export interface ClientSettings {
  url: DatabaseUrl;
  target: Target;
  prepare: boolean;
  /** Startup parameters. */
  connection: Record<string, string>;
  parsers: Record<number, (text: string) => unknown>;
  onNotify: () => void;
  onClose: () => void;
  openSocket: () => Promise<net.Socket>;
}

/** A client of one connection, which connects at its first statement and never again. */
export function createClient(settings: ClientSettings): postgres.Sql {
  const { url, target, prepare, connection, onNotify, onClose } = settings;
  const client = postgres({
    host: [target.host],
    port: [target.port],
    user: url.user,
    pass: url.password,
    database: url.database,
    max: 1,
    idle_timeout: 0,
    max_lifetime: null,
    connect_timeout: 0,
    ssl: false,
    fetch_types: false,
    prepare,
    connection,
    onnotice: () => {},
    onnotify: onNotify,
    onclose: onClose,
    socket: settings.openSocket,
  } as unknown as postgres.Options<Record<string, never>>);
  Object.assign(client.options.parsers, settings.parsers);
  client.options.serializers = {}; // all parameters are text
  return client;
}

/** The parsers of a client by type OID. Those that are added are used for the next rows. */
export function parsersOf({ options }: postgres.Sql): Record<number, (text: string) => unknown> {
  return options.parsers;
}

/** Runs a statement without parameters as a prepared one. */
export function prepared(client: postgres.Sql, text: string): PromiseLike<Rows> {
  const options = { prepare: true, simple: false };
  return client.unsafe(text, [], options);
}

export type Rows = postgres.RowList<postgres.Row[]>;

/**
 * False for a result with holes: the driver's row counter was not where it should have been. A text of
 * several statements has a list of results.
 */
export function isWhole(answer: Rows): boolean {
  const results = 'command' in answer ? [answer] : (answer as unknown as Rows[]);
  return results.every((rows) => rows.length === 0 || 0 in rows);
}

/** The server's own answer to a statement, after which its connection can be used again. */
export function isAnswer(error: Error): boolean {
  return (
    error instanceof postgres.PostgresError &&
    error.severity !== 'FATAL' &&
    error.severity !== 'PANIC'
  );
}

/**
 * Frees the parameters of a query that has its answer. The driver's queries outlive the young generation
 * of the garbage collector, and with them what they hold: the service grew by tens of megabytes in an
 * import before they were collected.
 */
export function freeParameters(query: object): void {
  Object.assign(query, NO_PARAMETERS);
}

const NO_PARAMETERS = { args: [], parameters: [] };

/**
 * For a query whose answer may be the stream of a COPY. The stream can fail in the very bytes that begin
 * it, before any `then` runs, and an error that nobody hears ends the process. It is told where the
 * stream is read.
 */
export function hearStream<Q extends object>(query: Q): Q {
  const answered = query as Q & { resolve: (answer: unknown) => void };
  const { resolve } = answered;
  answered.resolve = (answer) => {
    if (answer instanceof Stream) answer.on('error', () => {});
    resolve(answer);
  };
  return query;
}

/**
 * For a COPY's stream at its end. The driver pauses the socket while the stream is full, and goes on only
 * when more of the stream is asked for: what comes behind the last row would not be read.
 */
export function readBehind(stream: Readable): void {
  stream._read(0);
}
