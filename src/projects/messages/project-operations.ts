import { createChangesFactory } from '../../db/entity/changes.factory.js';
import type { Author } from '../../db/entity/author.js';
import type { Db } from '../../db/connection.js';
import { versionMismatch } from '../../db/entity/write-conditions.js';
import { createProjectsFactory } from '../../db/factories/projects/projects.factory.js';
import { createTechnologiesFactory } from '../../db/factories/technologies.factory.js';
import { readsOn } from '../../db/replicas/reads.js';
import { replicasOf } from '../../db/replicas/replicas.js';
import type { Project } from '../../db/schema.js';
import { ListChangesQuery, ListHistoryQuery, NOW } from '../../changes/dto/change.dto.js';
import { feedMeta, feedPosition, toChangeDto } from '../../changes/feed.js';
import {
  historyCursor,
  historyMeta,
  historyPosition,
  toHistoryEntry,
} from '../../changes/history.js';
import type { Operation, Reply } from './operation.js';
import { areNamed, etagOf } from '../../http/answers/etag.js';
import { type Answer, onceFor } from '../../http/answers/idempotency.js';
import { notValid } from '../../http/problems/problem.js';
import { ListTechnologiesQuery } from '../../technologies/dto/technology.dto.js';
import { ListProjectsQuery } from '../dto/list-projects.query.js';
import { ProjectBatchDto } from '../dto/project-batch.dto.js';
import { operationsOf, resultOf, throwAsProblem } from '../project-batch.js';
import { lastIdOf, listQueryOf, metaOf, metaOfIds, refuseOtherThanIds } from '../project-list.js';
import { PatchProjectDto, WriteProjectDto } from '../projects.resource.js';
import {
  bodyOf,
  conditionsOf,
  consistencyTokenOf,
  idOf,
  type Part,
  partsOf,
  queryOf,
  type RequestParts,
} from './request-parts.js';

const ENTITY = 'project';

/** The parts of a message that each operation accepts. */
const TAKES: Record<Operation, readonly Part[]> = {
  list: ['query'],
  get: ['id'],
  create: ['body'],
  put: ['id', 'body'],
  patch: ['id', 'body'],
  delete: ['id'],
  batch: ['body'],
  history: ['id', 'query'],
  changes: ['query'],
  technologies: ['query'],
};

export interface ProjectOperations {
  /**
   * Validates a message and executes its operation. The answer has the same documents as over HTTP. If the database has
   * replicas, reads use them and writes answer a consistency token.
   */
  run(operation: Operation, message: unknown, by: Author): Promise<Reply>;
}

type Work = (parts: RequestParts, by: Author) => Promise<Reply>;

/** Creates all operations except files and streams, for callers that do not use HTTP. */
export function createProjectOperations(db: Db): ProjectOperations {
  const reading = reads(db);
  const works: Record<Operation, Work> = { ...reading, ...writes(db), ...keyedWrites(db) };
  return {
    run: async (operation, message, by) => {
      const parts = partsOf(message, TAKES[operation]);
      if (operation in reading) consistencyTokenOf(parts);
      const reply = await works[operation](parts, by);
      const replicas = operation in reading ? undefined : replicasOf(db);
      return replicas ? { ...reply, consistencyToken: await replicas.written(reply.data) } : reply;
    },
  };
}

function factoriesOn(db: Db) {
  return {
    projects: createProjectsFactory(db),
    changes: createChangesFactory(db, ENTITY),
    technologies: createTechnologiesFactory(db),
  };
}

function reads(db: Db) {
  const primary = factoriesOn(db);
  const servers = readsOn(db, primary, factoriesOn);
  return {
    list: async (parts) => {
      const query = await queryOf(ListProjectsQuery, parts);
      if (query.id) return await listByIds(query.id, query, parts);
      const list = listQueryOf(query);
      const page = await servers.read(consistencyTokenOf(parts), (on) =>
        on.projects.listProjects(list),
      );
      return { status: 200, data: page.projects, meta: metaOf(page, query) };
    },
    get: async (parts) => {
      const { versions, notVersions } = conditionsOf(parts);
      const id = idOf(parts);
      const project = await servers.read(consistencyTokenOf(parts), (on) =>
        on.projects.getProject(id),
      );
      if (versions && !areNamed(versions, project.version)) versionMismatch({ name: ENTITY });
      if (notVersions && areNamed(notVersions, project.version)) return { status: 304 };
      return stored(project);
    },
    history: async (parts) => {
      const id = idOf(parts);
      const { limit, after } = await queryOf(ListHistoryQuery, parts);
      const before = historyPosition(ENTITY, id, after);
      const page = await servers.read(consistencyTokenOf(parts), (on) =>
        on.changes.getHistory(id, { limit, before }),
      );
      // Retention may have removed the whole history of a project that exists.
      if (page.changes.length === 0 && after === undefined) await primary.projects.getProject(id);
      const meta = historyMeta(historyCursor(ENTITY, id, page), limit);
      return { status: 200, data: page.changes.map(toHistoryEntry), meta };
    },
    changes: async (parts) => {
      const { limit, after } = await queryOf(ListChangesQuery, parts);
      const { changes } = primary; // a standby cannot tell where its feed ends
      const place =
        after === NOW ? await changes.getFeedEnd() : after && feedPosition(ENTITY, after);
      const page = await changes.getFeedPage({ limit, after: place || undefined });
      return {
        status: 200,
        data: page.changes.map(toChangeDto),
        meta: feedMeta(ENTITY, page, limit),
      };
    },
    technologies: async (parts) => {
      const { q, limit } = await queryOf(ListTechnologiesQuery, parts);
      const data = await servers.read(consistencyTokenOf(parts), (on) =>
        on.technologies.getTechnologies(q, limit),
      );
      return { status: 200, data };
    },
  } satisfies Partial<Record<Operation, Work>>;

  async function listByIds(
    ids: string[],
    { fields, after }: ListProjectsQuery,
    parts: RequestParts,
  ): Promise<Reply> {
    refuseOtherThanIds(Object.keys(parts.query as object));
    const last = lastIdOf(after, ids);
    const page = await servers.read(consistencyTokenOf(parts), (on) =>
      on.projects.listProjectsById(ids, { fields, after: last }),
    );
    return { status: 200, data: page.projects, meta: metaOfIds(page, ids) };
  }
}

function writes(db: Db) {
  const projects = createProjectsFactory(db);
  return {
    put: async (parts, by) => {
      const options = { ...conditionsOf(parts), by };
      const values = await bodyOf(WriteProjectDto, parts);
      const { project, created } = await projects.putProject(idOf(parts), values, options);
      return { ...stored(project), status: created ? 201 : 200 };
    },
    patch: async (parts, by) => {
      const patch = await bodyOf(PatchProjectDto, parts);
      if (Object.keys(patch).length === 0)
        throw notValid([{ path: '', message: 'the patch must change at least one field' }]);
      const options = { ...conditionsOf(parts), by };
      return stored(await projects.updateProject(idOf(parts), patch, options));
    },
    delete: async (parts, by) => {
      const options = { ...conditionsOf(parts), by };
      return { status: 200, data: await projects.deleteProject(idOf(parts), options) };
    },
  } satisfies Partial<Record<Operation, Work>>;
}

function keyedWrites(db: Db) {
  return {
    create: async (parts, by) => {
      const values = await bodyOf(WriteProjectDto, parts);
      return await withKey('projects.create', { parts, by }, async (tx) => {
        const project = await createProjectsFactory(tx).createProject(values, by);
        return { status: 201, headers: { ETag: etagOf(project.version) }, body: project };
      });
    },
    batch: async (parts, by) => {
      const operations = operationsOf(await bodyOf(ProjectBatchDto, parts));
      return await withKey('projects.batch', { parts, by }, async (tx) => {
        const writing = createProjectsFactory(tx).writeProjects(operations, by);
        return { body: (await writing.catch(throwAsProblem)).map(resultOf) };
      });
    },
  } satisfies Partial<Record<Operation, Work>>;

  async function withKey(
    name: string,
    { parts, by }: { parts: RequestParts; by: Author },
    work: (db: Db) => Promise<Answer<unknown>>,
  ): Promise<Reply> {
    const { body, meta } = parts;
    const key = meta.idempotencyKey;
    if (key === undefined) return replyOf(await work(db));
    return replyOf(await onceFor(db, { caller: by.actor ?? '', key, name, body }, work));
  }
}

function stored(project: Project): Reply {
  return { status: 200, data: project, etag: etagOf(project.version) };
}

function replyOf({ status = 200, headers = {}, body }: Answer<unknown>): Reply {
  const replayed = headers['Idempotency-Replayed'] === 'true';
  const { ETag: etag } = headers;
  return { status, data: body, ...(etag && { etag }), ...(replayed && { replayed }) };
}
