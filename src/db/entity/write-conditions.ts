import { and, eq, not, type SQL, sql } from 'drizzle-orm';
import { DataError } from '../errors.js';
import type { Entity } from './entity.js';

/** The conditions of a write. */
export interface WriteCondition {
  /** The row must have one of these versions; 'any' means that it must exist. */
  versions?: number[] | 'any';
  /** The row must have none of these versions; 'any' means that it must not exist. */
  notVersions?: number[] | 'any';
}

/** Returns the part of the cache key for the conditions of a write. */
export function shapeOf({ versions, notVersions }: WriteCondition): string {
  return [versions, notVersions].map((named) => (Array.isArray(named) ? 'some' : named)).join();
}

const VERSIONS = sql`${sql.placeholder('versions')}`;
const NOT_VERSIONS = sql`${sql.placeholder('notVersions')}`;

/** Returns the condition that the row has the id of the statement and meets the conditions. */
export function matching(entity: Entity, conditions: WriteCondition): SQL | undefined {
  return and(
    eq(entity.table.id, sql.placeholder('id')),
    meets(entity, conditions, VERSIONS, NOT_VERSIONS),
  );
}

/** Returns the conditions on the row; undefined if there are none. `some` and `none` are array literals of versions. */
export function meets(
  entity: Entity,
  { versions, notVersions }: WriteCondition,
  some: SQL,
  none: SQL,
): SQL | undefined {
  return and(
    versions && isAt(entity, versions, some),
    notVersions && not(isAt(entity, notVersions, none)),
  );
}

/** Returns the condition of an upsert on the existing row, for its `setWhere`. */
export function isNotAt(entity: Entity, notVersions: number[] | 'any'): SQL {
  return not(isAt(entity, notVersions, NOT_VERSIONS));
}

function isAt({ table }: Entity, versions: number[] | 'any', some: SQL): SQL {
  return versions === 'any' ? sql`true` : sql`${table.version} = any(${some}::integer[])`;
}

/** Throws `not_found`. */
export function notFound({ name }: Entity): never {
  throw new DataError('not_found', `There is no ${name} with this id.`);
}

/** Throws `version_mismatch`. */
export function versionMismatch({ name }: Pick<Entity, 'name'>): never {
  throw new DataError(
    'version_mismatch',
    `The ${name} does not have the version that the request requires.`,
  );
}
