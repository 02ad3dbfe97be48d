import { sql } from 'drizzle-orm';
import {
  check,
  index,
  integer,
  jsonb,
  pgTable,
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
  },
  (table) => [
    // Plain index, not DESC: drizzle would add NULLS LAST, which ORDER BY … DESC cannot use.
    index('projects_created_at_id_index').on(table.createdAt, table.id),
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

export type Project = typeof projects.$inferSelect;
export type NewProject = typeof projects.$inferInsert;
