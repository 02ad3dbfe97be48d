import type net from 'node:net';
import { type Readable, Stream } from 'node:stream';
import postgres from 'postgres';
import type { DatabaseUrl } from './database-url.js';
import type { Target } from './socket.js';

/**
 * Everything that this service uses inside postgres@3.4.9 (postgres.js) and that its README does not promise. Each
 * point is watched by test/canaries/postgres-js.spec.ts. Read this file before an upgrade.
 *
 * 1. With `max: 1` and one statement at a time, no queue of the driver is used and nothing is cancelled. The exception is
 *    one statement behind a write that is prepared or has no parameters (Session.write). Both are sent immediately and
 *    settle in their order.
 * 2. The driver calls `socket` for each connection. If `ssl` is off, it uses the returned socket unchanged. `socket`
 *    throws at the second call, which prevents the client from reconnecting.
 * 3. A query settles at ReadyForQuery, after earlier `data` listeners of the socket have received the bytes. If a query
 *    fails in another way, such as by a parser that throws, it settles with an error that is not a PostgresError, and
 *    its connection can no longer be used.
 * 4. Only CommandComplete resets the driver's row counter (see ProtocolState).
 * 5. The driver reads `options.parsers` when rows are described, and `options.serializers` when parameters are sent.
 *    Both may therefore be changed after the client was created.
 * 6. A text without parameters uses the simple protocol, with all of its statements together. The result is split into
 *    several ones only at row descriptions.
 * 7. If the URL does not contain them, user, password and database come from PGUSER, PGPASSWORD and PGDATABASE, or from
 *    the user of the system.
 * 8. `fetch_types: false` avoids a look-up whose failure nobody can catch.
 * 9. The driver answers a query by calling its `resolve`, with the stream if the answer is a COPY.
 * 10. If the server can no longer use a prepared statement, the driver prepares it again, with the same parameters. It
 *     then settles after the statement that was sent behind it.
 * 11. A text without parameters can be prepared. It is then sent in one message, also the first time.
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

/** Creates a client with one connection, which connects at its first statement and never reconnects. */
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

/** The parsers of a client by type OID. Parsers that are added apply to the next rows. */
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
 * False for a result with gaps, which means that the driver's row counter had a wrong value. A text of several
 * statements has a list of results.
 */
export function isWhole(answer: Rows): boolean {
  const results = 'command' in answer ? [answer] : (answer as unknown as Rows[]);
  return results.every((rows) => rows.length === 0 || 0 in rows);
}

/** True if the server itself answered the statement with an error; the connection is then usable. */
export function isAnswer(error: Error): boolean {
  return (
    error instanceof postgres.PostgresError &&
    error.severity !== 'FATAL' &&
    error.severity !== 'PANIC'
  );
}

/**
 * Frees the parameters of a query that has its answer. The driver's queries survive the young generation of the
 * garbage collector, and everything that they reference survives with them. Without this the service grew by tens of
 * megabytes during an import before they were collected.
 */
export function freeParameters(query: object): void {
  Object.assign(query, NO_PARAMETERS);
}

const NO_PARAMETERS = { args: [], parameters: [] };

/**
 * Prepares a query whose answer may be the stream of a COPY for an early error. The stream can fail in the first
 * bytes, before any `then` runs, and an error without a listener would end the process. The reader of the stream gets
 * the error.
 */
export function expectStream<Q extends object>(query: Q): Q {
  const answered = query as Q & { resolve: (answer: unknown) => void };
  const { resolve } = answered;
  answered.resolve = (answer) => {
    if (answer instanceof Stream) answer.on('error', () => {});
    resolve(answer);
  };
  return query;
}

/**
 * Reads the stream of a COPY to its end. The driver pauses the socket while the stream is full and resumes only when
 * more is read. Otherwise the bytes after the last row would not be read.
 */
export function readBehind(stream: Readable): void {
  stream._read(0);
}
