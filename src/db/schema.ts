import { sql } from 'drizzle-orm';
import {
  bigint,
  check,
  customType,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uuid,
  varchar,
} from 'drizzle-orm/pg-core';

/** What one project may hold. The table's constraints, the DTOs and the OpenAPI document follow from it. */
export const PROJECT_LIMITS = {
  nameLength: 255,
  descriptionLength: 20_000,
  technologies: 100,
  technologyLength: 100,
} as const;

/**
 * The `created_at` and `updated_at` columns of every table, to the millisecond: a JavaScript `Date`
 * holds no more, and a column that does would be cut in every cursor and comparison.
 * The trigger `touch_row` keeps both (migrations/0002).
 */
export function createTimestamps() {
  return {
    createdAt: timestamp('created_at', { withTimezone: true, precision: 3 }).notNull().defaultNow(),
    updatedAt: timestamp('updated_at', { withTimezone: true, precision: 3 }).notNull().defaultNow(),
  };
}

/** What full-text search reads of a row; it is matched in the database and never answered. */
const tsvector = customType<{ data: string }>({ dataType: () => 'tsvector' });

export const projects = pgTable(
  'projects',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    name: varchar('name', { length: PROJECT_LIMITS.nameLength }).notNull(),
    description: text('description').notNull(),
    technologies: jsonb('technologies').$type<string[]>().notNull(),
    ...createTimestamps(),
    /** Counts the writes to the row, from 1; the trigger `touch_row` adds one at every update. */
    version: integer('version').notNull().default(1),
    search: tsvector('search').generatedAlwaysAs(
      sql`project_search(name, technologies, description)`,
    ),
  },
  (table) => [
    // Plain indexes, not DESC: drizzle would add NULLS LAST, which ORDER BY … DESC cannot use.
    index('projects_created_at_id_index').on(table.createdAt, table.id),
    index('projects_updated_at_id_index').on(table.updatedAt, table.id),
    index('projects_name_id_index').on(table.name, table.id),
    index('projects_search_index').using('gin', table.search),
    check('projects_name_check', sql`btrim(${table.name}) <> ''`),
    check(
      'projects_description_check',
      sql`char_length(${table.description}) <= ${sql.raw(String(PROJECT_LIMITS.descriptionLength))}`,
    ),
    check(
      'projects_technologies_check',
      sql`is_distinct_text_array(${table.technologies}, ${sql.raw(String(PROJECT_LIMITS.technologies))}, ${sql.raw(String(PROJECT_LIMITS.technologyLength))})`,
    ),
    check('projects_version_check', sql`${table.version} > 0`),
  ],
);

/**
 * Which projects use a technology, in the order of their creation: what a filter by technology
 * walks. The triggers `projects_facets_*` keep it, and the two below, in step with `projects`.
 */
export const projectTechnologies = pgTable(
  'project_technologies',
  {
    technology: text('technology').notNull(),
    createdAt: timestamp('created_at', { withTimezone: true, precision: 3 }).notNull(),
    projectId: uuid('project_id').notNull(),
  },
  (table) => [primaryKey({ columns: [table.technology, table.createdAt, table.projectId] })],
);

/** How many projects use a technology, but for the changes that `technology_changes` still holds. */
export const technologyCounts = pgTable('technology_counts', {
  technology: text('technology').primaryKey(),
  projects: bigint('projects', { mode: 'number' }).notNull(),
});

/** What writes have added to the counts: a row each, so that writers do not wait for one another. */
export const technologyChanges = pgTable('technology_changes', {
  technology: text('technology').notNull(),
  change: integer('change').notNull(),
});

/** The words of the names, by which a search forgives a typo. */
export const nameWords = pgTable('name_words', { word: text('word').primaryKey() }, (table) => [
  index('name_words_trigram_index').using('gin', table.word.op('gin_trgm_ops')),
]);

export type Project = Omit<typeof projects.$inferSelect, 'search'>;
export type NewProject = Omit<typeof projects.$inferInsert, 'search'>;
