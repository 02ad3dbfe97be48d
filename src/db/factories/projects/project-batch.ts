import { randomUUID } from 'node:crypto';
import { getTableColumns, type SQL, sql } from 'drizzle-orm';
import { type Author, setWriteAuthor } from '../../entity/author.js';
import { withDefaults } from '../../entity/defaults.js';
import { checkedId } from '../../entity/checked-id.js';
import { explainRefusal, refusedRowOf } from '../../entity/explain-refusal.js';
import type { Db } from '../../connection.js';
import { DataError } from '../../errors.js';
import { subquery } from '../../query/drizzle-internals.js';
import { FITS, measuredRows, PageBytes } from '../../query/page-bytes.js';
import { withPlainRows } from '../../query/prepared.js';
import { type Project, projects } from '../../schema.js';
import { inTransaction } from '../../transaction.js';
import { firstVersion, WAS_INSERTED } from '../../entity/first-version.js';
import {
  columnOf,
  eachWritten,
  normalized,
  PROJECT,
  type ProjectValues as Values,
  WRITTEN,
} from './columns.js';

interface Named {
  id: string;
  /** The project must have one of these versions; 'any' means that it must exist. */
  versions?: number[] | 'any';
}

/** One write of a batch. An id may occur in only one of them. */
export type ProjectOperation =
  | { op: 'create'; project: Values }
  | ({ op: 'replace'; project: Values } & Named)
  | ({ op: 'delete' } & Named);

export type OperationResult =
  | {
      op: 'create' | 'replace';
      /** The project after the write. */
      project: Project;
      /** True if there was no project with this id before. */
      created: boolean;
    }
  | {
      op: 'delete';
      /** The project before it was deleted. Undefined after one mebibyte of deleted projects; their history has them. */
      project?: Project;
      created: false;
    };

/** One operation that cannot be executed. */
export interface Refusal {
  /** The index of the operation, from 0. */
  index: number;
  code: 'not_found' | 'version_mismatch';
}

/** Thrown if operations are refused. No operation was executed. The code is that of the first refusal. */
export class RefusedOperations extends DataError {
  constructor(readonly refusals: Refusal[]) {
    super(refusals[0]!.code, 'Nothing was written: some operations cannot be executed.');
  }
}

/**
 * Executes all of these operations or none, and resolves with a result for each, in the same order.
 * `replace` without versions creates a project that does not exist. A batch of any size needs one statement
 * to read and lock, one to insert or replace, and one to delete.
 *
 * Rows are locked and written in the order of their ids, so that two batches do not deadlock. Throws
 * RefusedOperations with `not_found` (for a delete) or `version_mismatch`, and `still_referenced` if rows of another
 * table refer to a deleted project.
 */
export async function writeProjects(
  db: Db,
  operations: ProjectOperation[],
  by: Author = {},
): Promise<OperationResult[]> {
  try {
    return await inTransaction(db, (tx) => writeAll(tx, operations, by));
  } catch (error) {
    throw inOperation(explainRefusal(PROJECT, error), operations);
  }
}

/** Places the faults of a refused project in its operation, or leaves them out if the operation is not known. */
function inOperation(error: unknown, operations: ProjectOperation[]): unknown {
  if (!(error instanceof DataError) || !error.faults) return error;
  const rows = operations.map((operation) => (operation.op === 'delete' ? {} : operation.project));
  const at = refusedRowOf(PROJECT, error, rows);
  const faults = error.faults.map(({ path, message }) => ({
    path: `operations.${at}.project.${path}`,
    message,
  }));
  const { code, message } = error;
  return new DataError(code, message, { cause: error, faults: at === undefined ? [] : faults });
}

async function writeAll(
  tx: Db,
  operations: ProjectOperation[],
  by: Author,
): Promise<OperationResult[]> {
  await setWriteAuthor(tx, by);
  const rows = operations.map((operation) => ({
    ...operation,
    id: operation.op === 'create' ? randomUUID() : checkedId(operation.id),
  }));
  await refuseUnmet(tx, rows);
  const [deletions, puts] = [
    rows.filter((row) => row.op === 'delete'),
    rows.filter((row) => row.op !== 'delete'),
  ];
  const written = await put(tx, puts);
  const removed = await remove(tx, deletions);
  return rows.map(({ op, id }) =>
    op === 'delete'
      ? { op, project: removed.get(id), created: false }
      : { op, ...written.get(id)! },
  );
}

type Written = Pick<OperationResult & { op: 'create' }, 'project' | 'created'>;

/** Locks the projects of the operations and checks their conditions, so that these hold until the commit. */
async function refuseUnmet(tx: Db, rows: ({ id: string } & ProjectOperation)[]): Promise<void> {
  const named = rows.filter((row) => row.op !== 'create');
  if (named.length === 0) return;
  const standing = await tx
    .select({ id: projects.id, version: projects.version })
    .from(projects)
    .where(isOneOf(named))
    .orderBy(projects.id)
    .for('update');
  const versions = new Map(standing.map(({ id, version }) => [id, version]));
  const refusals = rows.flatMap((row, index): Refusal[] => {
    const code = row.op === 'create' ? undefined : refusalOf(row, versions.get(row.id));
    return code ? [{ index, code }] : [];
  });
  if (refusals.length > 0) throw new RefusedOperations(refusals);
}

function refusalOf(
  { op, versions }: Exclude<ProjectOperation, { op: 'create' }>,
  version: number | undefined,
): Refusal['code'] | undefined {
  if (version === undefined && op === 'delete') return 'not_found';
  if (!versions) return undefined;
  const isMet = version !== undefined && (versions === 'any' || versions.includes(version));
  return isMet ? undefined : 'version_mismatch';
}

async function put(tx: Db, rows: { id: string; project: Values }[]): Promise<Map<string, Written>> {
  if (rows.length === 0) return new Map();
  const given = JSON.stringify(
    rows.map(({ id, project }) => ({
      id,
      ...byColumn(withDefaults(PROJECT, normalized(project))),
    })),
  );
  const statement = tx
    .insert(projects)
    // Drizzle lists all columns in an insert from a select, also those with a default, in the order of the table.
    .select(
      sql`select ${sql.join(
        ALL.map((name) => FIRST[name] ?? columnOf(name)),
        sql`, `,
      )}
        from json_to_recordset(${given}::json) as given (id uuid, ${eachWritten(typed)})
        order by id`,
    )
    .onConflictDoUpdate({
      target: projects.id,
      set: Object.fromEntries(WRITTEN.map((name) => [name, sql`excluded.${columnOf(name)}`])),
    })
    .returning({ ...PROJECT.columns, created: WAS_INSERTED })
    .prepare('batch');
  const written = await withPlainRows(statement, ['created']).execute();
  return new Map(
    written.map(({ created, ...row }) => {
      const project = row as unknown as Project;
      return [project.id, { project, created }];
    }),
  );
}

const ALL = Object.keys(PROJECT.columns);
/** The initial values of the columns that the database sets. */
const FIRST: Record<string, SQL> = {
  createdAt: sql`now()`,
  updatedAt: sql`now()`,
  version: firstVersion('project', sql`given.id`),
};

/** Maps the values to the names of their columns. */
function byColumn(values: Values): Record<string, unknown> {
  return Object.fromEntries(WRITTEN.map((name) => [projects[name].name, values[name]]));
}

function typed(name: keyof Values): SQL {
  return sql`${columnOf(name)} ${sql.raw(projects[name].getSQLType())}`;
}

/** Deletes the projects and resolves with them, in the order of the ids, up to a mebibyte. */
async function remove(tx: Db, rows: { id: string }[]): Promise<Map<string, Project>> {
  if (rows.length === 0) return new Map();
  const removed = tx
    .$with('removed')
    .as(tx.delete(projects).where(isOneOf(rows)).returning(PROJECT.columns));
  const sized = WRITTEN.map((name) => projects[name].name);
  const measured = measuredRows(sql`select * from removed order by id`, sized);
  const found = await tx
    .with(removed)
    .select(PROJECT.columns)
    .from(subquery(measured, getTableColumns(projects), 'projects'))
    .where(FITS);
  const bytes = new PageBytes();
  const fitting = (found as unknown as Project[]).filter((project) =>
    bytes.takes(JSON.stringify(project)),
  );
  return new Map(fitting.map((project) => [project.id, project]));
}

/** Uses one array parameter for any number of ids, so that there is only one statement to prepare. */
function isOneOf(rows: { id: string }[]) {
  return sql`${projects.id} = any(${sql.param(rows.map(({ id }) => id))}::uuid[])`;
}
