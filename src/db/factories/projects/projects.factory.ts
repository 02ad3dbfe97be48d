import { DEFAULT_LIMIT } from '../../entity/keyset-list.js';
import { desc, sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import type { Author } from '../../entity/author.js';
import type { ExportOptions } from '../../entity/row-export.js';
import { createVersionedRows, type WriteOptions } from '../../entity/versioned-rows.js';
import { prepareOnce } from '../../query/prepared.js';
import { type Project, projects } from '../../schema.js';
import { PROJECT, type ProjectValues } from './columns.js';
import { type ProjectOperation, writeProjects } from './project-batch.js';
import { exportProjects, type ExportQuery } from './project-export.js';
import { PROJECT_FIELDS } from './project-list-query.js';
import { createProjectLists } from './project-list.js';

export type ProjectsFactory = ReturnType<typeof createProjectsFactory>;

/**
 * All queries on projects, on the pool or on an open transaction. Each write except `writeProjects` is one
 * statement, so that it is atomic without a transaction.
 *
 * Each may throw an error that `asDataError` recognizes: the codes below, and `invalid_value`, `conflict`,
 * `statement_timeout`, `pool_exhausted` and `database_unavailable`.
 */
export function createProjectsFactory(db: Db) {
  const rows = createVersionedRows(db, PROJECT);
  const newest = prepareOnce(() =>
    db
      .select(PROJECT.columns)
      .from(projects)
      .orderBy(desc(projects.createdAt), desc(projects.id))
      .limit(sql.placeholder('limit'))
      .prepare('newest'),
  );

  /** Returns the newest projects first. */
  async function getAllProjects(limit = DEFAULT_LIMIT): Promise<Project[]> {
    return (await newest().execute({ limit })) as unknown as Project[];
  }

  /**
   * Returns the given fields of the existing projects with these ids, in the order of the ids. Throws
   * `invalid_value` for more than 1000 ids. `listProjectsById` also limits the bytes.
   */
  async function getProjectsById(
    ids: string[],
    fields: (keyof Project)[] = PROJECT_FIELDS,
  ): Promise<Partial<Project>[]> {
    const found = await rows.getMany(ids);
    return found.map((project) => pick(project, fields));
  }

  /** Throws `not_found`. */
  async function getProject(id: string): Promise<Project> {
    return await rows.get(id);
  }

  async function createProject(values: ProjectValues, by: Author = {}): Promise<Project> {
    return await rows.create(values, by);
  }

  /**
   * Replaces the project, or creates it with this id; `created` is true if it was created. With `versions` it only
   * replaces. Throws `version_mismatch` if the condition is not met.
   */
  async function putProject(id: string, values: ProjectValues, options: WriteOptions = {}) {
    const { row, created } = await rows.put(id, values, options);
    return { project: row, created };
  }

  /** Changes the given fields, at least one. Throws `not_found`, `version_mismatch`. */
  async function updateProject(
    id: string,
    values: Partial<ProjectValues>,
    options: WriteOptions = {},
  ): Promise<Project> {
    return await rows.update(id, values, options);
  }

  /** Removes the project and resolves with its last state. Throws `not_found`, `version_mismatch`. */
  async function deleteProject(id: string, options: WriteOptions = {}): Promise<Project> {
    return await rows.remove(id, options);
  }

  return {
    ...createProjectLists(db),
    getProjectsById,
    getAllProjects,
    getProject,
    createProject,
    putProject,
    updateProject,
    deleteProject,
    /** Writes all projects that the query selects to a file; resolves with their number. */
    exportProjects: (query: ExportQuery, options: ExportOptions) =>
      exportProjects(db, query, options),
    /** See `writeProjects` in project-batch.ts. */
    writeProjects: (operations: ProjectOperation[], by?: Author) =>
      writeProjects(db, operations, by),
  };
}

function pick<T extends object, K extends keyof T>(from: T, keys: K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>;
}
