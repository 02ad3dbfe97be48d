import { type SQL, sql } from 'drizzle-orm';
import { type ColumnKind, distinctTexts, TEXT } from '../../entity/column-kinds.js';
import { defineEntity, type EntityRow } from '../../entity/entity.js';
import { type NewProject, projects } from '../../schema.js';

/**
 * The fields of a project that clients write. Fields with a default may be omitted. The database sets all other
 * fields.
 */
export type ProjectValues = Omit<NewProject, keyof EntityRow>;

/**
 * The columns that clients write, in the order of the answers. Reads, writes, lists, batches, import,
 * export and the validation of files are derived from these lines.
 */
const PROJECT_VALUES = {
  name: TEXT,
  description: TEXT,
  technologies: distinctTexts('technology'),
} satisfies Record<Name, unknown>;

type Name = keyof ProjectValues;

export const WRITTEN = Object.keys(PROJECT_VALUES) as Name[];

/** Returns the kind of a column, for values whose type the compiler does not know. */
export const kindOf = (name: Name) => PROJECT_VALUES[name] as unknown as ColumnKind<unknown>;

/** Large texts, which a list reads only if `fields` requests them. */
export const LARGE: readonly Name[] = ['description'];

/** Normalizes the values as they are stored. Throws `invalid_value` for a duplicate technology. */
export function normalized<T extends Partial<ProjectValues>>(values: T): T {
  const stored = WRITTEN.filter((name) => values[name] !== undefined).map((name) => [
    name,
    kindOf(name).normalize(values[name]),
  ]);
  return { ...values, ...Object.fromEntries(stored) } as T;
}

export const PROJECT = defineEntity({
  name: 'project',
  table: projects,
  written: WRITTEN,
  kinds: PROJECT_VALUES,
  hidden: ['search'],
  sorts: ['name'],
  insertTriggers: ['projects_facets_add'],
  updateTriggers: ['projects_facets_change'],
  normalize: normalized,
});

/** Returns the unqualified name of a column, which `given` and `excluded` in a statement have too. */
export function columnOf(name: string): SQL {
  return sql`${sql.identifier(PROJECT.columns[name]!.name)}`;
}

/** Returns an SQL list of the written columns, each formatted by `form`. */
export function eachWritten(form: (name: Name) => SQL): SQL {
  return sql.join(WRITTEN.map(form), sql`, `);
}
