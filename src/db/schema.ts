import { sql, type SQLWrapper } from 'drizzle-orm';
import {
  bigint,
  boolean,
  check,
  customType,
  index,
  integer,
  json,
  jsonb,
  pgTable,
  primaryKey,
  text,
  uuid,
  varchar,
} from 'drizzle-orm/pg-core';
import { momentOf } from './driver/text-format.js';

/** The limits of one project. The table's constraints, the DTOs and the OpenAPI document use them. */
export const PROJECT_LIMITS = {
  nameLength: 255,
  descriptionLength: 20_000,
  technologies: 100,
  technologyLength: 100,
  /** The maximum of the column's type. */
  version: 2 ** 31 - 1,
} as const;

/**
 * A timestamp with milliseconds, as text in ISO 8601, UTC: `2026-01-31T12:00:00.000Z`. It has no more digits,
 * because a JavaScript `Date` would truncate them. It is not a `Date`, which takes longer to read and to
 * write than the rest of a row (docs/performance.md, "Rows").
 */
export const moment = customType<{ data: string; driverData: string }>({
  dataType: () => 'timestamp (3) with time zone',
  fromDriver: momentOf,
});

/** The columns `created_at` and `updated_at` of every entity. The trigger `touch_row` sets them (functions/touch_row.sql). */
export function createTimestamps() {
  return {
    createdAt: moment('created_at')
      .notNull()
      .default(sql`now()`),
    updatedAt: moment('updated_at')
      .notNull()
      .default(sql`now()`),
  };
}

/** Returns the condition of a check constraint: the column has one of these names. */
export function isOneOf(column: SQLWrapper, names: readonly string[]) {
  return sql`${column} in (${sql.raw(names.map((name) => `'${name}'`).join(', '))})`;
}

/** The column for full-text search. It is matched in the database and never answered. */
const tsvector = customType<{ data: string }>({ dataType: () => 'tsvector' });

export const projects = pgTable(
  'projects',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    name: varchar('name', { length: PROJECT_LIMITS.nameLength }).notNull(),
    description: text('description').notNull(),
    technologies: jsonb('technologies').$type<string[]>().notNull(),
    ...createTimestamps(),
    /** The version of the row, which starts at 1. The trigger `touch_row` adds one at every update. */
    version: integer('version').notNull().default(1),
    search: tsvector('search').generatedAlwaysAs(
      sql`project_search(name, technologies, description, created_at)`,
    ),
  },
  (table) => [
    // The indexes are not DESC: drizzle would add NULLS LAST, which ORDER BY … DESC cannot use.
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
      // `project_technologies` checks that each has 1 to 100 characters and that there are no duplicates.
      sql`is_text_list(${table.technologies}, ${sql.raw(String(PROJECT_LIMITS.technologies))})`,
    ),
    check('projects_version_check', sql`${table.version} > 0`),
  ],
);

/**
 * The projects of each technology in the order of their creation, which a filter by technology scans. The
 * triggers `projects_facets_*` keep this table and the two below in step with `projects`.
 */
export const projectTechnologies = pgTable(
  'project_technologies',
  {
    technology: text('technology').notNull(),
    createdAt: moment('created_at').notNull(),
    projectId: uuid('project_id').notNull(),
  },
  (table) => [
    // The name ends in `_distinct`: a violation means a duplicate inside one value (errors.ts).
    primaryKey({
      name: 'project_technologies_distinct',
      columns: [table.technology, table.createdAt, table.projectId],
    }),
    check(
      'project_technologies_technology_check',
      sql`char_length(${table.technology}) between 1 and ${sql.raw(String(PROJECT_LIMITS.technologyLength))}`,
    ),
  ],
);

/** The number of projects of each technology, without the changes that are still in `technology_changes`. */
export const technologyCounts = pgTable(
  'technology_counts',
  {
    technology: text('technology').primaryKey(),
    projects: bigint('projects', { mode: 'number' }).notNull(),
  },
  (table) => [
    // The order of the list of technologies. The count is negated, so that all columns are ascending.
    index('technology_counts_order_index').on(
      sql`(-${table.projects})`,
      sql`(lower(${table.technology}) collate "C")`,
      table.technology,
    ),
    // An index for the names that begin with a text (functions/technologies_beginning.sql).
    index('technology_counts_beginning_index').on(
      sql`length(${table.projects}::text)`,
      sql`(lower(${table.technology}) collate "C")`,
    ),
  ],
);

/**
 * The changes of the counts and the new names, one row for each writing statement, so that writers do not wait
 * for each other and do not look up words. A row holds lists and names as they were written, because a single write
 * is cheap only if it does not take them apart. The rows are folded into `technology_counts` and `name_words` later
 * (functions/fold_is_due.sql); readers add the rows that are not folded yet.
 */
export const technologyChanges = pgTable('technology_changes', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  /** The technologies of projects, one list for each project. */
  technologies: jsonb('technologies').$type<string[]>().array().notNull().default([]),
  /** The change of the number of projects for each list: 1 or -1. */
  changes: integer('changes').array().notNull().default([]),
  /** New names of projects. */
  names: text('names').array().notNull().default([]),
  /** The number of technologies and names in this row. */
  entries: integer('entries').notNull(),
  /** True if the transaction folds at its commit. The update to true queues the fold. */
  isDue: boolean('is_due').notNull().default(false),
});

/**
 * The words that names contain or have contained, for typo tolerance in searches. A word stays when no name
 * contains it any more: to remove it, concurrent writers of the same word would have to wait for each other.
 */
export const nameWords = pgTable(
  'name_words',
  {
    word: text('word').notNull(),
    id: bigint('id', { mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
  },
  (table) => [
    primaryKey({ columns: [table.word, table.id] }),
    index('name_words_trigram_index').using('gin', table.word.op('gin_trgm_ops')),
  ],
);

export const CHANGE_ACTIONS = ['created', 'updated', 'deleted'] as const;

/**
 * Every version of every row, for the history and the change feed. Triggers write it in the same statement as the
 * change (functions/track_changes.sql). `before` and `after` are the row in the format of the API.
 */
export const changes = pgTable(
  'changes',
  {
    /** The order of the writes to one row. Across transactions it is not the order of the commits. */
    sequence: bigint('sequence', { mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
    /** The `sequence` of the transaction's first change to the entity. */
    changeSet: bigint('change_set', { mode: 'number' }).notNull(),
    /** The kind of the changed entity, such as `project`. */
    entity: text('entity').notNull(),
    entityId: uuid('entity_id').notNull(),
    /** The version that the change created. A deletion counts as the next version. */
    version: integer('version').notNull(),
    action: text('action', { enum: CHANGE_ACTIONS }).notNull(),
    before: json('before'),
    after: json('after'),
    /** The actor and the request id from the write itself or from `setAuditContext`; otherwise empty. */
    actor: text('actor').notNull().default(''),
    requestId: text('request_id').notNull().default(''),
    at: moment('at')
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    primaryKey({ columns: [table.changeSet, table.sequence] }),
    index('changes_entity_id_sequence_index').on(table.entityId, table.sequence),
  ],
);

/** The transactions in the order of their commits, one row for each entity that they changed. */
export const changeCommits = pgTable(
  'change_commits',
  {
    position: bigint('position', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    changeSet: bigint('change_set', { mode: 'number' }).notNull(),
    /** The entity, so that a page of one entity does not read the commits of others. */
    entity: text('entity').notNull(),
    /**
     * The time of the commit, not of the beginning of the transaction. Retention uses it, and cursors contain it,
     * because after a restore the same position has another time.
     */
    at: moment('at')
      .notNull()
      .default(sql`clock_timestamp()`),
  },
  (table) => [index('change_commits_entity_position_index').on(table.entity, table.position)],
);

/** The position up to which retention removes changes: one row. */
export const changeExpiry = pgTable(
  'change_expiry',
  {
    only: boolean('only').primaryKey().default(true),
    /** The position of the last removed commit. A reader with an older position has missed changes. */
    position: bigint('position', { mode: 'number' }).notNull().default(0),
    /** The sequence of its last change. */
    sequence: bigint('sequence', { mode: 'number' }).notNull().default(0),
    /** The time of that commit. */
    at: moment('at'),
  },
  (table) => [check('change_expiry_only_check', sql`${table.only}`)],
);

/** The answers to requests with an Idempotency-Key, written in the transaction of the request's writes. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    caller: text('caller').notNull(),
    key: text('key').notNull(),
    /** A digest of method, path and body. */
    fingerprint: text('fingerprint').notNull(),
    status: integer('status'),
    headers: json('headers').$type<Record<string, string>>(),
    body: json('body'),
    createdAt: moment('created_at')
      .notNull()
      .default(sql`now()`),
  },
  (table) => [
    primaryKey({ columns: [table.caller, table.key] }),
    index('idempotency_keys_created_at_index').on(table.createdAt),
  ],
);

/** One row for each feed that is published to a broker: the publishing instance, the end of its lease, and its position. */
export const relays = pgTable('relays', {
  name: text('name').primaryKey(),
  /** The publishing instance; null after it has stopped. */
  holder: uuid('holder'),
  expiresAt: moment('expires_at').notNull(),
  /** The last change that is recorded as published; null before the first. */
  position: bigint('position', { mode: 'number' }),
  sequence: bigint('sequence', { mode: 'number' }),
  commitTime: bigint('commit_time', { mode: 'number' }),
});

export type Change = typeof changes.$inferSelect;
export type Project = Omit<typeof projects.$inferSelect, 'search'>;
export type NewProject = Omit<typeof projects.$inferInsert, 'search'>;
