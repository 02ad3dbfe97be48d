import type { CallOptions, CallSettings } from './calls.js';
import { consistentCalls } from './consistency.js';
import type { Operation, Transport } from './transport.js';
import type {
  Change,
  ChangesQuery,
  FeedMeta,
  HistoryEntry,
  HistoryQuery,
  ListMeta,
  ListQuery,
  OperationResult,
  Page,
  Project,
  ProjectInput,
  ProjectOperation,
  ProjectPatch,
  StoredProject,
  TechnologiesQuery,
  Technology,
} from './types.js';

/** The injection token of a ProjectsClient: `@Inject(PROJECTS_CLIENT) projects: ProjectsClient`. */
export const PROJECTS_CLIENT = Symbol.for('projects-service PROJECTS_CLIENT');

export interface WriteOptions extends CallOptions {
  /** Write only if the project has one of these ETags, or, with `*`, if it exists; otherwise `version_mismatch`. */
  ifMatch?: string;
  /** Write only if the project has none of these ETags, or, with `*`, if it does not exist. */
  ifNoneMatch?: string;
}

export interface KeyedOptions extends CallOptions {
  /**
   * The key of this write. A write that is sent again with the same key, even by another process, is executed only
   * once while the service keeps the key (24 hours). Without it the client creates a key for each call, so that its
   * own retries are safe.
   */
  idempotencyKey?: string;
}

export interface GetOptions extends CallOptions {
  ifMatch?: string;
}

/**
 * The operations of the service, the same in process, over HTTP and over messages. Each rejects with a
 * ProjectsClientError.
 *
 * Reads see every write that was answered to this client before, also if they run on read replicas.
 */
export interface ProjectsClient {
  /**
   * The token of the writes of this client, for another client that must see them. Undefined before the first
   * write, and if the service has no replicas.
   */
  readonly consistencyToken: string | undefined;
  /**
   * Returns a client on the same connections with its own token: its reads see its own writes and the writes of
   * `consistencyToken`. Use one for each caller if many callers share a client, so that the writes of one do not
   * send the reads of the others to the primary.
   */
  session(consistencyToken?: string): ProjectsClient;
  list(query?: ListQuery, options?: CallOptions): Promise<Page<Partial<Project>, ListMeta>>;
  /** Iterates over the projects of all pages. The loop may be left early. */
  listAll(query?: ListQuery, options?: CallOptions): AsyncIterable<Partial<Project>>;
  get(id: string, options?: GetOptions): Promise<StoredProject>;
  /** Resolves with undefined if the project still has the ETag. */
  getIfChanged(id: string, etag: string, options?: CallOptions): Promise<StoredProject | undefined>;
  /** Returns the existing projects with these ids, in the order of the ids; at most 200 ids. */
  getMany(
    ids: string[],
    query?: Pick<ListQuery, 'fields'>,
    options?: CallOptions,
  ): Promise<Partial<Project>[]>;
  create(values: ProjectInput, options?: KeyedOptions): Promise<StoredProject>;
  /** Replaces the project, or creates it with this id. */
  put(
    id: string,
    values: ProjectInput,
    options?: WriteOptions,
  ): Promise<StoredProject & { created: boolean }>;
  /** Changes the given fields. */
  patch(id: string, values: ProjectPatch, options?: WriteOptions): Promise<StoredProject>;
  /** Removes the project and resolves with its last state. */
  delete(id: string, options?: WriteOptions): Promise<Project>;
  /** Executes all operations in one transaction, or none. */
  batch(operations: ProjectOperation[], options?: KeyedOptions): Promise<OperationResult[]>;
  /** Returns the versions of a project, the latest first. */
  history(id: string, query?: HistoryQuery, options?: CallOptions): Promise<Page<HistoryEntry>>;
  historyAll(id: string, query?: HistoryQuery, options?: CallOptions): AsyncIterable<HistoryEntry>;
  /** Returns a page of the change feed. Continue with `meta.nextCursor`, immediately or days later. */
  changes(query?: ChangesQuery, options?: CallOptions): Promise<Page<Change, FeedMeta>>;
  /** Iterates over all changes up to the end of the feed. */
  changesAll(query?: ChangesQuery, options?: CallOptions): AsyncIterable<Change>;
  technologies(query?: TechnologiesQuery, options?: CallOptions): Promise<Technology[]>;
  /** Closes the connections, which its sessions share. On a session it does nothing. */
  close(): Promise<void>;
}

/** Creates a ProjectsClient on any transport. */
export function createProjectsClient(
  transport: Transport,
  settings: CallSettings = {},
): ProjectsClient {
  return sessionOf(transport, settings, { close: async () => await transport.close?.() });
}

function sessionOf(
  transport: Transport,
  settings: CallSettings,
  { token, close }: { token?: string; close: () => Promise<void> },
): ProjectsClient {
  const calls = consistentCalls(transport, settings, token);
  const { send } = calls;
  const data = async <O extends Operation>(...args: Parameters<typeof send<O>>) =>
    (await send(...args)).data;
  const stored = async <O extends Operation>(...args: Parameters<typeof send<O>>) =>
    storedProject(await send(...args));
  const page = async <O extends Operation>(...args: Parameters<typeof send<O>>) => {
    const reply = await send(...args);
    return { items: reply.data, meta: reply.meta } as Page<never, never>;
  };

  const client: ProjectsClient = {
    get consistencyToken() {
      return calls.token;
    },
    session: (other) =>
      sessionOf(transport, settings, { token: other, close: () => Promise.resolve() }),
    list: (query = {}, options) => page('list', { query }, options),
    listAll: (query = {}, options) =>
      itemsOfPages((after) => client.list({ ...query, ...after }, options)),
    get: (id, options) => stored('get', { id }, options),
    getIfChanged: async (id, etag, options) => {
      const reply = await send('get', { id }, { ...options, ifNoneMatch: etag });
      return reply.status === 304 ? undefined : storedProject(reply);
    },
    getMany: async (ids, query = {}, options) => {
      const found: Partial<Project>[] = [];
      if (ids.length === 0) return found;
      const pages = itemsOfPages<Partial<Project>>((after) =>
        page('list', { query: { ...query, id: ids, ...after } }, options),
      );
      for await (const project of pages) found.push(project);
      return found;
    },
    create: (body, options) => stored('create', { body }, options),
    put: async (id, body, options) => {
      const reply = await send('put', { id, body }, options);
      return { ...storedProject(reply), created: reply.status === 201 };
    },
    patch: (id, body, options) => stored('patch', { id, body }, options),
    delete: async (id, options) => (await data('delete', { id }, options)) as Project,
    batch: async (operations, options) =>
      (await data('batch', { body: { operations } }, options)) as OperationResult[],
    history: (id, query = {}, options) => page('history', { id, query }, options),
    historyAll: (id, query = {}, options) =>
      itemsOfPages((after) => client.history(id, { ...query, ...after }, options)),
    changes: (query = {}, options) => page('changes', { query }, options),
    changesAll: (query = {}, options) =>
      itemsOfPages((after) => client.changes({ ...query, ...after }, options)),
    technologies: async (query = {}, options) =>
      (await data('technologies', { query }, options)) as Technology[],
    close,
  };
  return client;
}

function storedProject({ data, etag }: { data?: unknown; etag?: string }): StoredProject {
  const project = data as Project;
  return { project, etag: etag ?? `"${project.version}"` };
}

interface ListPage<Item> {
  items: Item[];
  meta: { nextCursor: string | null; hasMore: boolean };
}

/** Iterates over the items of all pages. A page is read when the previous one is consumed. */
async function* itemsOfPages<Item>(
  read: (after: { after?: string }) => Promise<ListPage<Item>>,
): AsyncGenerator<Item> {
  let page = await read({});
  for (;;) {
    yield* page.items;
    if (!page.meta.hasMore || page.meta.nextCursor === null) return;
    page = await read({ after: page.meta.nextCursor });
  }
}
