import type { PgTable } from 'drizzle-orm/pg-core';
import {
  changeCommits,
  changeExpiry,
  changes,
  idempotencyKeys,
  nameWords,
  projects,
  projectTechnologies,
  relays,
  technologyChanges,
  technologyCounts,
} from './schema.js';

/** A table whose rows the database or the housekeeping derives from another table, without a foreign key. */
export interface Derivation {
  from: PgTable;
  to: PgTable;
  /** The code that adds the rows: SQL functions, by their file names in functions/, or a file in entity/. */
  by: string[];
}

export const DERIVATIONS: Derivation[] = [
  {
    from: projects,
    to: projectTechnologies,
    by: ['projects_facets_add', 'projects_facets_change'],
  },
  {
    from: projects,
    to: technologyChanges,
    by: ['projects_facets_add', 'projects_facets_change', 'projects_facets_remove'],
  },
  { from: technologyChanges, to: nameWords, by: ['fold_technology_changes'] },
  { from: technologyChanges, to: technologyCounts, by: ['fold_technology_changes'] },
  { from: projects, to: changes, by: ['track_changes'] },
  { from: changes, to: changeCommits, by: ['changes_take_position'] },
  { from: changeCommits, to: changeExpiry, by: ['change-expiry.ts'] },
];

/** The tables by purpose. */
export const TABLE_GROUPS: Record<string, PgTable[]> = {
  'Projects: all else is derived': [projects],
  'Lists and search': [projectTechnologies, technologyChanges, technologyCounts, nameWords],
  'History and change feed': [changes, changeCommits, changeExpiry],
  'Repeated requests': [idempotencyKeys],
  'Relays of events': [relays],
};
