import { and, desc, eq, inArray, type SQL } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { DataError } from '../errors.js';
import { type NewProject, type Project, projects } from '../schema.js';

/** What a client writes of a project; the database keeps the rest. */
export type ProjectValues = Pick<NewProject, 'name' | 'description' | 'technologies'>;

/** A condition on the version that a write is for: one of these, or 'any' that exists. */
export interface WriteCondition {
  versions?: number[] | 'any';
}

export type ProjectsFactory = ReturnType<typeof createProjectsFactory>;

/**
 * Every query on projects, on the pool or on an open transaction. Each write is one statement, so
 * that it holds or fails as a whole without a transaction of its own.
 *
 * Each may throw a DataError: those named below, and `invalid_value`, `conflict`,
 * `statement_timeout`, `pool_exhausted` and `database_unavailable`, found by `asDataError`.
 */
export function createProjectsFactory(db: Db) {
  /** The newest projects first. */
  async function getAllProjects(limit = 50): Promise<Project[]> {
    return await db
      .select()
      .from(projects)
      .orderBy(desc(projects.createdAt), desc(projects.id))
      .limit(limit);
  }

  /** Throws `not_found`. */
  async function getProject(id: string): Promise<Project> {
    const [project] = await db.select().from(projects).where(eq(projects.id, id));
    return project ?? notFound();
  }

  async function createProject(values: ProjectValues): Promise<Project> {
    const [project] = await db.insert(projects).values(values).returning();
    return project!;
  }

  /**
   * Replaces the project, or creates it under this id; `created` tells which. With a condition it
   * only replaces: throws `version_mismatch` when the project is not at one of the versions, or not
   * there at all.
   */
  async function putProject(id: string, values: ProjectValues, condition: WriteCondition = {}) {
    if (condition.versions) {
      const [project] = await db
        .update(projects)
        .set(values)
        .where(matching(id, condition))
        .returning();
      return { project: project ?? versionMismatch(), created: false };
    }
    const [project] = await db
      .insert(projects)
      .values({ id, ...values })
      .onConflictDoUpdate({ target: projects.id, set: values })
      .returning();
    // The first version is the one that was inserted: an update has added to it.
    return { project: project!, created: project!.version === 1 };
  }

  /** Creates the project under this id. Throws `version_mismatch` when there is one. */
  async function createProjectWithId(id: string, values: ProjectValues): Promise<Project> {
    const [project] = await db
      .insert(projects)
      .values({ id, ...values })
      .onConflictDoNothing()
      .returning();
    return project ?? versionMismatch('There is a project with this id already.');
  }

  /** Changes the fields given, of which there must be one. Throws `not_found`, `version_mismatch`. */
  async function updateProject(
    id: string,
    values: Partial<ProjectValues>,
    condition: WriteCondition = {},
  ): Promise<Project> {
    const [project] = await db
      .update(projects)
      .set(values)
      .where(matching(id, condition))
      .returning();
    return project ?? (await notMatching(id));
  }

  /** Removes the project and resolves with what it was. Throws `not_found`, `version_mismatch`. */
  async function deleteProject(id: string, condition: WriteCondition = {}): Promise<Project> {
    const [project] = await db.delete(projects).where(matching(id, condition)).returning();
    return project ?? (await notMatching(id));
  }

  /** Why a conditional write found no row: there is none (`not_found`), or it has moved on (`version_mismatch`). */
  async function notMatching(id: string): Promise<never> {
    await getProject(id);
    return versionMismatch();
  }

  return {
    getAllProjects,
    getProject,
    createProject,
    createProjectWithId,
    putProject,
    updateProject,
    deleteProject,
  };
}

function matching(id: string, { versions }: WriteCondition): SQL | undefined {
  const sameId = eq(projects.id, id);
  return Array.isArray(versions) ? and(sameId, inArray(projects.version, versions)) : sameId;
}

function notFound(): never {
  throw new DataError('not_found', 'There is no project with this id.');
}

function versionMismatch(
  message = 'The project is not at the version that the request names.',
): never {
  throw new DataError('version_mismatch', message);
}
