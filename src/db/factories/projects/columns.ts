import { type SQL, sql } from 'drizzle-orm';
import { type ColumnKind, distinctTexts, TEXT } from '../../entity/column-kinds.js';
import { defineEntity, type EntityRow } from '../../entity/entity.js';
import { type NewProject, projects } from '../../schema.js';

/** What a client writes of a project; the database keeps the rest. */
export type ProjectValues = Required<Omit<NewProject, keyof EntityRow>>;

/**
 * The columns that clients write, in the order in which they are answered. Reads and writes, lists,
 * batches, import, export and the validation of files follow from these lines.
 */
export const PROJECT_VALUES = {
  name: TEXT,
  description: TEXT,
  technologies: distinctTexts('technology'),
} satisfies Record<Name, unknown>;

type Name = keyof ProjectValues;

export const WRITTEN = Object.keys(PROJECT_VALUES) as Name[];

/** The kind of a column, for values that are not known to the compiler. */
export const kindOf = (name: Name) => PROJECT_VALUES[name] as unknown as ColumnKind<unknown>;

/** Large texts, which a list reads only where they are asked for. */
export const LARGE: readonly Name[] = ['description'];

/** The values as they are stored. Throws `invalid_value` for a technology that is named twice. */
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
  normalize: normalized,
});

/** The bare name of a column, which `given` and `excluded` of a statement have too. */
export function columnOf(name: string): SQL {
  return sql`${sql.identifier(PROJECT.columns[name]!.name)}`;
}

/** The written columns, each in the same form, with commas between them. */
export function eachWritten(form: (name: Name) => SQL): SQL {
  return sql.join(WRITTEN.map(form), sql`, `);
}
