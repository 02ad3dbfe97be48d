import { and, desc, eq, not, type SQL, sql } from 'drizzle-orm';
import { type Author, authorValues, WRITE_AUTHOR } from '../../entity/author.js';
import { checkedId } from '../../entity/checked-id.js';
import { batchedRead } from '../../query/batched-read.js';
import type { Db } from '../../connection.js';
import { DataError } from '../../errors.js';
import { keptStatements, prepareOnce, withPlainRows } from '../../query/prepared.js';
import { type NewProject, type Project, projects } from '../../schema.js';
import { retryStatement } from '../../transaction.js';
import { firstVersion, WAS_INSERTED } from '../../entity/first-version.js';
import { normalized } from './normalized.js';
import { type ProjectOperation, writeProjects } from './project-batch.js';
import { PROJECT_COLUMNS, PROJECT_FIELDS } from './project-list-query.js';
import { createProjectLists } from './project-list.js';

/** What a client writes of a project; the database keeps the rest. */
export type ProjectValues = Pick<NewProject, 'name' | 'description' | 'technologies'>;

/** What must hold of the project for a write to happen. */
export interface WriteCondition {
  /** It is at one of these versions; 'any': it exists. */
  versions?: number[] | 'any';
  /** It is at none of these versions; 'any': it does not exist. */
  notVersions?: number[] | 'any';
}

export interface WriteOptions extends WriteCondition {
  /** For the history; default nobody. */
  by?: Author;
}

/** How many shapes of writes have their statements kept. */
const MAX_SHAPES = 100;

export type ProjectsFactory = ReturnType<typeof createProjectsFactory>;

/**
 * Every query on projects, on the pool or on an open transaction. Each write but `writeProjects` is
 * one statement, so that it holds or fails as a whole without a transaction of its own.
 *
 * Each may throw a DataError: those named below, and `invalid_value`, `conflict`,
 * `statement_timeout`, `pool_exhausted` and `database_unavailable`, found by `asDataError`.
 */
export function createProjectsFactory(db: Db) {
  const kept = keptStatements(MAX_SHAPES);
  const newest = prepareOnce(() =>
    db
      .select(PROJECT_COLUMNS)
      .from(projects)
      .orderBy(desc(projects.createdAt), desc(projects.id))
      .limit(sql.placeholder('limit'))
      .prepare('newest'),
  );

  /** The newest projects first. */
  async function getAllProjects(limit = 50): Promise<Project[]> {
    return await newest().execute({ limit });
  }

  /** Those of these projects that there are, in the order of the ids; of each the fields named. */
  async function getProjectsById(
    ids: string[],
    fields: (keyof Project)[] = PROJECT_FIELDS,
  ): Promise<Partial<Project>[]> {
    const checked = ids.map(checkedId);
    const found = await db
      .select(PROJECT_COLUMNS)
      .from(projects)
      .where(sql`${projects.id} = any(${sql.param(checked)}::uuid[])`);
    const byId = new Map(found.map((project) => [project.id, project]));
    return checked
      .map((id) => byId.get(id))
      .filter((project) => project !== undefined)
      .map((project) => pick(project, fields));
  }

  const withIds = prepareOnce(() =>
    db
      .select(PROJECT_COLUMNS)
      .from(projects)
      .where(sql`${projects.id} = any(${sql.placeholder('ids')}::uuid[])`)
      .prepare('withIds'),
  );
  const readById = batchedRead(async (ids) => {
    const found = await withIds().execute({ ids });
    return new Map(found.map((project) => [project.id, project]));
  });

  /** Throws `not_found`. */
  async function getProject(id: string): Promise<Project> {
    // Checked first, since a wrong id would fail the whole batch of reads.
    return (await readById(checkedId(id))) ?? notFound();
  }

  const insert = prepareOnce(() =>
    db
      .insert(projects)
      .values({
        name: sql.placeholder('name'),
        description: sql.placeholder('description'),
        technologies: sql.placeholder('technologies'),
      })
      .returning({ ...PROJECT_COLUMNS, ...WRITE_AUTHOR })
      .prepare('insert'),
  );

  async function createProject(values: ProjectValues, by: Author = {}): Promise<Project> {
    const [project] = await insert().execute({ ...normalized(values), ...authorValues(by) });
    return project!;
  }

  /**
   * Replaces the project, or creates it under this id; `created` tells which. With `versions` it
   * only replaces. Throws `version_mismatch` when the condition does not hold.
   */
  async function putProject(id: string, values: ProjectValues, options: WriteOptions = {}) {
    const { versions, notVersions } = options;
    if (versions) {
      const project = await update(id, values, options);
      return { project: project ?? versionMismatch(), created: false };
    }
    const statement = kept(`put ${shapeOf(options)}`, () => {
      const written = placeholders(WRITTEN);
      return withPlainRows(
        db
          .insert(projects)
          .values({
            id: sql.placeholder('id'),
            ...written,
            version: firstVersion('project', sql`${sql.placeholder('id')}`),
          })
          .onConflictDoUpdate({
            target: projects.id,
            set: written,
            setWhere: notVersions && not(isAt(notVersions, 'notVersions')),
          })
          .returning({ ...PROJECT_COLUMNS, ...WRITE_AUTHOR, created: WAS_INSERTED })
          .prepare('put'),
        ['created'],
      );
    });
    const placed = { ...normalized(values), ...valuesOf(id, options) };
    const [written] = await retryStatement(db, () => statement.execute(placed));
    if (!written) return versionMismatch();
    const { created, ...project } = written;
    return { project, created };
  }

  /** Changes the fields given, of which there must be one. Throws `not_found`, `version_mismatch`. */
  async function updateProject(
    id: string,
    values: Partial<ProjectValues>,
    options: WriteOptions = {},
  ): Promise<Project> {
    return (await update(id, values, options)) ?? (await notMatching(id, options));
  }

  async function update(
    id: string,
    values: Partial<ProjectValues>,
    options: WriteOptions,
  ): Promise<Project | undefined> {
    const names = WRITTEN.filter((name) => values[name] !== undefined);
    const statement = kept(`update ${names.join()} ${shapeOf(options)}`, () =>
      withPlainRows(
        db
          .update(projects)
          .set(placeholders(names))
          .where(matching(options))
          .returning({ ...PROJECT_COLUMNS, ...WRITE_AUTHOR })
          .prepare('update'),
      ),
    );
    const [project] = await statement.execute({
      ...normalized(values),
      ...valuesOf(id, options),
    });
    return project;
  }

  /** Removes the project and resolves with what it was. Throws `not_found`, `version_mismatch`. */
  async function deleteProject(id: string, options: WriteOptions = {}): Promise<Project> {
    const statement = kept(`delete ${shapeOf(options)}`, () =>
      withPlainRows(
        db
          .delete(projects)
          .where(matching(options))
          .returning({ ...PROJECT_COLUMNS, ...WRITE_AUTHOR })
          .prepare('delete'),
      ),
    );
    const [project] = await statement.execute(valuesOf(id, options));
    return project ?? (await notMatching(id, options));
  }

  /** Why a write found no row: there is none (`not_found`), or its condition does not hold (`version_mismatch`). */
  async function notMatching(id: string, { versions, notVersions }: WriteCondition) {
    if (!versions && !notVersions) return notFound();
    await getProject(id);
    return versionMismatch();
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
    /** As `writeProjects` in project-batch.ts describes it. */
    writeProjects: (operations: ProjectOperation[], by?: Author) =>
      writeProjects(db, operations, by),
  };
}

const WRITTEN = ['name', 'description', 'technologies'] as const;

/** What stands for values in a statement that is made once. */
function placeholders<K extends keyof ProjectValues>(names: readonly K[]): Record<K, SQL> {
  return Object.fromEntries(
    names.map((name) => [name, sql`${sql.param(sql.placeholder(name), projects[name])}`]),
  ) as Record<K, SQL>;
}

/** Writes of one shape are one statement. */
function shapeOf({ versions, notVersions }: WriteCondition): string {
  return [versions, notVersions].map((named) => (Array.isArray(named) ? 'some' : named)).join();
}

function valuesOf(id: string, { versions, notVersions, by = {} }: WriteOptions) {
  return {
    id: checkedId(id),
    versions: `{${String(versions)}}`,
    notVersions: `{${String(notVersions)}}`,
    ...authorValues(by),
  };
}

function matching({ versions, notVersions }: WriteCondition): SQL | undefined {
  return and(
    eq(projects.id, sql.placeholder('id')),
    versions && isAt(versions, 'versions'),
    notVersions && not(isAt(notVersions, 'notVersions')),
  );
}

function isAt(versions: number[] | 'any', name: 'versions' | 'notVersions'): SQL {
  return versions === 'any'
    ? sql`true`
    : sql`${projects.version} = any(${sql.placeholder(name)}::integer[])`;
}

function notFound(): never {
  throw new DataError('not_found', 'There is no project with this id.');
}

/** Throws `version_mismatch`. */
export function versionMismatch(): never {
  throw new DataError(
    'version_mismatch',
    'The project is not at the version that the request names.',
  );
}

function pick<T extends object, K extends keyof T>(from: T, keys: K[]): Pick<T, K> {
  return Object.fromEntries(keys.map((key) => [key, from[key]])) as Pick<T, K>;
}
