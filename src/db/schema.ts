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

/** What one project may hold. The table's constraints, the DTOs and the OpenAPI document follow from it. */
export const PROJECT_LIMITS = {
  nameLength: 255,
  descriptionLength: 20_000,
  technologies: 100,
  technologyLength: 100,
  /** What the column holds. */
  version: 2 ** 31 - 1,
} as const;

/**
 * A moment to the millisecond, as text in ISO 8601, UTC: `2026-01-31T12:00:00.000Z`. No more digits,
 * or what makes a `Date` of it would cut them; and no `Date` here, which takes longer to read and to
 * write than all else of a row (docs/performance.md, "Rows").
 */
const moment = customType<{ data: string; driverData: string }>({
  dataType: () => 'timestamp (3) with time zone',
  fromDriver: momentOf,
});

/** The `created_at` and `updated_at` columns of every table. The trigger `touch_row` keeps both (functions/touch_row.sql). */
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

/** The condition of a check that a column holds one of these names. */
export function isOneOf(column: SQLWrapper, names: readonly string[]) {
  return sql`${column} in (${sql.raw(names.map((name) => `'${name}'`).join(', '))})`;
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
      sql`project_search(name, technologies, description, created_at)`,
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
      // That each is a text of 1 to 100 characters and stands once is checked by `project_technologies`.
      sql`case jsonb_typeof(${table.technologies}) when 'array' then
        jsonb_array_length(${table.technologies}) <= ${sql.raw(String(PROJECT_LIMITS.technologies))}
        and not ${table.technologies} @? 'strict $[*] ? (@.type() != "string")' else false end`,
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
    createdAt: moment('created_at').notNull(),
    projectId: uuid('project_id').notNull(),
  },
  (table) => [
    // A name that ends in `_distinct`: a violation means that one value names the same twice (errors.ts).
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

/** How many projects use each technology, except for the changes that `technology_changes` still holds. */
export const technologyCounts = pgTable(
  'technology_counts',
  {
    technology: text('technology').primaryKey(),
    projects: bigint('projects', { mode: 'number' }).notNull(),
  },
  (table) => [
    // In the order of the list of technologies: the count, negated, so that all columns ascend.
    index('technology_counts_order_index').on(
      sql`(-${table.projects})`,
      sql`(lower(${table.technology}) collate "C")`,
      table.technology,
    ),
    // For the names that begin with a text (functions/technologies_beginning.sql).
    index('technology_counts_beginning_index').on(
      sql`length(${table.projects}::text)`,
      sql`(lower(${table.technology}) collate "C")`,
    ),
  ],
);

/**
 * What writers have added to the counts and to the names: a row for each statement, so that writers do not
 * wait for one another, nor look up words. Each is folded into `technology_counts` and `name_words` after a
 * while (functions/fold_is_due.sql); readers add what is not folded yet.
 */
export const technologyChanges = pgTable('technology_changes', {
  id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
  /** One may stand here several times. */
  technologies: text('technologies').array().notNull().default([]),
  /** How many projects more, or fewer, use each of them. */
  changes: integer('changes').array().notNull().default([]),
  /** New names of projects. */
  names: text('names').array().notNull().default([]),
  /** The transaction folds at its commit. A column, because a trigger's condition on it is read fast. */
  isDue: boolean('is_due').notNull().default(false),
});

/**
 * The words that names contain or have contained, for typo tolerance in searches. A word stays when the
 * last name loses it: to remove it while another write adds it again, both would have to wait.
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
 * Every version of every row, written by triggers in the statement that makes it (functions/track_changes.sql):
 * the history, and what the change feed reads. `before` and `after` are the row as the API answers it.
 */
export const changes = pgTable(
  'changes',
  {
    /** The order of the writes to one row. Across transactions it is not the order of the commits. */
    sequence: bigint('sequence', { mode: 'number' }).notNull().generatedAlwaysAsIdentity(),
    /** The `sequence` of the transaction's first change to the entity. */
    changeSet: bigint('change_set', { mode: 'number' }).notNull(),
    /** What changed, such as `project`. */
    entity: text('entity').notNull(),
    entityId: uuid('entity_id').notNull(),
    /** What the change made; a deletion counts as the version after the last. */
    version: integer('version').notNull(),
    action: text('action', { enum: CHANGE_ACTIONS }).notNull(),
    before: json('before'),
    after: json('after'),
    /** Who and by which request, as `setAuditContext` or the write itself said; else empty. */
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
    /** So that a page of one entity does not read the commits of others. */
    entity: text('entity').notNull(),
    /**
     * The time of the commit, not of the beginning of the transaction. Retention goes by it, and
     * cursors carry it: after a restore the same position has another time.
     */
    at: moment('at')
      .notNull()
      .default(sql`clock_timestamp()`),
  },
  (table) => [index('change_commits_entity_position_index').on(table.entity, table.position)],
);

/** How far retention has come: one row. What it names, and all before, is removed or about to be. */
export const changeExpiry = pgTable(
  'change_expiry',
  {
    only: boolean('only').primaryKey().default(true),
    /** Of the last commit; a reader that has not come so far has missed changes. */
    position: bigint('position', { mode: 'number' }).notNull().default(0),
    /** Of its last change. */
    sequence: bigint('sequence', { mode: 'number' }).notNull().default(0),
    /** Its time. */
    at: moment('at'),
  },
  (table) => [check('change_expiry_only_check', sql`${table.only}`)],
);

/** The answers to requests with an Idempotency-Key, written with what they did. */
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

/** Which instance publishes a change feed to a broker, until when, and how far it has come: a row for each feed. */
export const relays = pgTable('relays', {
  name: text('name').primaryKey(),
  /** Nobody, once the last one has stopped. */
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
